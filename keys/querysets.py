"""Sets of keys. Each rule here is the one of `keys.models`, in SQL."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db import models
from django.db.models import Q

from keys.kinds import EXPIRES_SOON, NEVER_USED, KeyType
from keys.search import ByKey, ByName, Sought
from projects.models import AuditEvent
from projects.names import fold
from projects.querysets import Order

if TYPE_CHECKING:
    from keys.models import Key
    from projects.models import Project, User

SORTS: Final = {
    "created": Order("created_at", descending=False),
    "-created": Order("created_at"),
    "name": Order("name_folded", descending=False),
    "-name": Order("name_folded"),
    "used": Order("last_used_at", descending=False, through="activity", tie="key_id"),
    "-used": Order("last_used_at", through="activity", tie="key_id"),
    "expires": Order("expires_at", descending=False),
    "-expires": Order("expires_at"),
}
NEWEST_FIRST: Final = "-created"
LAST_REVOKED_FIRST: Final = Order("revoked_at")
UNUSED_FOR: Final = timedelta(days=90)
# What shows a key's secret to whoever does it; who issued the key is in its own row.
_SHOWS_A_SECRET: Final = ("key.renewed", "key.revealed")


# The names of the status filter.
STATUSES: Final = {
    "active": "Active",
    "unconfirmed": "Not confirmed",
    "expires_soon": "Expires soon",
    "paused": "Paused",
    "expired": "Expired",
}


class KeyQuerySet(models.QuerySet["Key"]):
    """Reads of keys; the verbs in `keys.lifecycle` are the only writer."""

    def of(self, project: "Project") -> "KeyQuerySet":
        """The project's keys, with their channel and what is known of their use."""
        return self.filter(project=project).select_related("activity", "channel")

    def living(self, at: datetime) -> "KeyQuerySet":
        """Keys that may pass at `at`: not revoked, not expired, not paused."""
        return self.listed(at).filter(expires_at__gt=at, paused_at=None)

    def listed(self, at: datetime) -> "KeyQuerySet":
        """Keys of the first table: all that haven't been revoked by `at`, expired ones too."""
        return self.filter(Q(revoked_at=None) | _scheduled(at))

    def revoked(self, at: datetime) -> "KeyQuerySet":
        """Keys of the second table."""
        return self.filter(~_scheduled(at), revoked_at__isnull=False)

    def sought(self, sought: Sought) -> "KeyQuerySet":
        """Keys that a search means: by a part of the name, or by the key itself."""
        if isinstance(sought, ByName):
            # Twelve letters and digits may be a word, or the key id that the copy icon gives.
            named = Q(name_folded__contains=fold(sought.text))
            return self.filter(named | Q(key_id=sought.text))
        if isinstance(sought, ByKey):
            found = self.filter(key_id__gte=sought.start, key_id__lt=sought.end)
            return found.filter(last4=sought.last4) if sought.last4 else found
        return self.none()

    def with_status(self, status: str, at: datetime) -> "KeyQuerySet":
        """Keys whose `Key.status` at `at` is the one called `status` in the filter."""
        return self.filter(_STATUS[status](at))

    def made_by(self, user: "User") -> "KeyQuerySet":
        return self.filter(created_by=user)

    def known_to(self, user: "User", project: "Project") -> "KeyQuerySet":
        """Keys of the project whose secret this person has seen: they issued, renewed or revealed them."""
        seen = AuditEvent.objects.filter(
            project_id=project.pk,
            object_kind="key",
            actor_kind="person",
            actor_id=str(user.pk),
            verb__in=_SHOWS_A_SECRET,
        )
        return self.filter(Q(created_by=user) | Q(key_id__in=seen.values("object_id")))

    def issued_by(self, key: "Key") -> "KeyQuerySet":
        """Keys that this key itself has issued, through the JSON API."""
        return self.filter(created_by_key=key)

    def unused_since(self, at: datetime) -> "KeyQuerySet":
        """Keys not used in the 90 days before `at`; one that is younger can't be told yet."""
        since = at - UNUSED_FOR
        return self.filter(activity__last_used_at__lt=since, created_at__lt=since)


def _scheduled(at: datetime) -> Q:
    return Q(revoked_at__gt=at, revoked_by_label="")


def _active(at: datetime) -> Q:
    return _usable(at) & ~_unconfirmed() & Q(expires_at__gt=at + EXPIRES_SOON)


def _soon(at: datetime) -> Q:
    return _usable(at) & ~_unconfirmed() & Q(expires_at__lte=at + EXPIRES_SOON)


def _usable(at: datetime) -> Q:
    return Q(revoked_at=None, paused_at=None, expires_at__gt=at)


def _unconfirmed() -> Q:
    return Q(confirmed_at=None, activity__last_used_at=NEVER_USED) & ~Q(type=KeyType.SYSTEM)


_STATUS: Final[dict[str, Callable[[datetime], Q]]] = {
    "active": _active,
    "unconfirmed": lambda at: _usable(at) & _unconfirmed(),
    "expires_soon": _soon,
    "paused": lambda at: Q(revoked_at=None, paused_at__isnull=False, expires_at__gt=at),
    "expired": lambda at: Q(expires_at__lte=at),
}
