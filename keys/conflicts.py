"""What is no longer possible with a key, or not twice: the conflicts, and what raises them.

A verb asks under its locks. A page asks before it offers the verb, and says the same.
"""

from datetime import datetime

from keys.models import Key


class Conflict(Exception):
    """The verb came too late or a second time; nothing was changed."""

    def __init__(self, message: str, key: Key) -> None:
        super().__init__(message)
        self.key = key


class AlreadyIssued(Conflict):
    """The nonce of this request has made `key` before; its secret can't be shown again."""


class AlreadyRevoked(Conflict):
    """The key was revoked before."""


class Protected(Conflict):
    """The Automator Key knows one verb: renew."""


class Stale(Conflict):
    """The key was changed since it was read: its `version` is another one now."""


class AlreadyRotated(Conflict):
    """The key has a successor, which is `key`; its token was shown when it was made."""


class NotRenewable(Conflict):
    """The key is in use, or at its end: it can only be rotated or revoked."""


def refuse_revoking(key: Key, at: datetime) -> None:
    """Raise Protected for the Automator Key, AlreadyRevoked for a key that has ended."""
    if key.is_protected:
        raise Protected("The Automator Key can't be revoked. Renew it to stop a leak.", key)
    refuse_revoked(key, at)


def refuse_revoked(key: Key, at: datetime) -> None:
    """Raise AlreadyRevoked for a key that has ended, by somebody's hand or when its grace was over."""
    if key.is_revoked(at) and key.revoked_by_label:
        raise AlreadyRevoked(f"{key.revoked_by_label} already revoked this key.", key)
    if key.is_revoked(at):
        raise AlreadyRevoked("This key was rotated, and its time is over.", key)


def refuse_pausing(key: Key, at: datetime) -> None:
    """Raise Protected for the Automator Key, AlreadyRevoked for a key that has ended."""
    if key.is_protected:
        raise Protected("The Automator Key can't be paused. Renew it to stop a leak.", key)
    refuse_revoked(key, at)


def refuse_rotating(key: Key, at: datetime) -> None:
    """Raise Protected, AlreadyRevoked, or AlreadyRotated with the successor. One query."""
    if key.is_protected:
        raise Protected("The Automator Key can't be rotated. Renew it: the old secret stops at once.", key)
    if successor := Key.objects.of(key.project).filter(predecessor=key).first():
        raise AlreadyRotated("This key was rotated already. Here is the key that takes its place.", successor)
    refuse_revoked(key, at)


def refuse_editing(key: Key, at: datetime) -> None:
    """Raise Protected, AlreadyRevoked, or AlreadyRotated for a key that is being replaced."""
    if key.is_protected:
        raise Protected("The Automator Key can't be edited.", key)
    if key.revoked_at is not None:
        refuse_rotating(key, at)


def refuse_renewing(key: Key, at: datetime) -> None:
    """Raise AlreadyRevoked or NotRenewable unless the key's secret may be replaced.

    Once somebody has stored or used a secret, replacing it would break what uses it.
    """
    refuse_revoked(key, at)
    if key.revoked_at is not None:
        raise NotRenewable("This key is being replaced by another.", key)
    if key.is_expired(at):
        raise NotRenewable("This key has expired.", key)
    if not key.is_protected and not key.is_unconfirmed():
        raise NotRenewable("This key's secret was stored or used, so it can't be replaced.", key)
