"""The administration for staff: keys, and the channels that have keys of their own."""

from keys.admin import channels, keys, providers

__all__ = ["channels", "keys", "providers"]
