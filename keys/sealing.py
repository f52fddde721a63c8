"""Where keys are sealed: `config.sealing`, which projects use as well, for second factors."""

from config.sealing import KEY_BYTES, VERSION, Keyring, SealingError

__all__ = ["KEY_BYTES", "VERSION", "Keyring", "SealingError"]
