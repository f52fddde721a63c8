"""Sets of keys. Each rule here is the one of `keys.models`, in SQL."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from django.db import models
from django.db.models import F, Q

from keys.kinds import EXPIRES_SOON, NEVER_USED, KeyType
from keys.search import ByKey, ByName, Sought
from projects.models import AuditEvent
from projects.names import fold
from projects.querysets import Order, read_from

if TYPE_CHECKING:
    from keys.models import Key
    from projects.models import Project, User

SORTS: Final = {
    "created": Order("created_at", descending=False),
    "-created": Order("created_at"),
    "name": Order("name_folded", descending=False),
    "-name": Order("name_folded"),
    "used": Order("last_used_at", descending=False, through="activity", tie="key_id", shared=True),
    "-used": Order("last_used_at", through="activity", tie="key_id", shared=True),
    "expires": Order("expires_at", descending=False, shared=True),
    "-expires": Order("expires_at", shared=True),
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


class Shelf(IntEnum):
    """The four sets that the keys of a project stand in, each with indexes of its own.

    A list reads one of them from its index, and never steps over the keys of another: an agent key isn't
    shown among project keys, nor is one that was revoked, of which there are ever more. The number stands in
    the search index (`projects.triggers`).
    """

    KEYS = 0
    AGENTS = 1
    ENDED_KEYS = 2
    ENDED_AGENTS = 3

    @property
    def ended(self) -> "Shelf":
        """Where the keys of this shelf go once they are revoked, or scheduled to be."""
        return Shelf(self | 2)

    @property
    def condition(self) -> Q:
        """The condition of its indexes."""
        return self._where(Q(type=KeyType.AGENT))

    @property
    def keys(self) -> Q:
        """The same condition in a query, word for word: else SQLite wouldn't know its indexes."""
        return self._where(Q(type=_Spelt(KeyType.AGENT.value)))

    def _where(self, agent: Q) -> Q:
        return Q(revoked_at__isnull=not self & 2) & (agent if self & 1 else ~agent)

    def index(self, column: str) -> str:
        """Return the name of the index that has its keys in the order of a column (`keys.models`)."""
        if self & 2:
            return (
                f"{'agent' if self & 1 else 'key'}_by_revocation"
                if column == "revoked_at"
                else "key_by_creation"
            )
        return f"{'agent' if self & 1 else 'listed'}_by_{_INDEXED[column]}"


_INDEXED: Final = {"created_at": "creation", "name_folded": "name", "expires_at": "expiry"}


class _Spelt(models.Value):
    """A constant that stands in the SQL itself, and not among its parameters."""

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        return f"'{self.value}'", []


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

    def on(self, shelf: Shelf) -> "KeyQuerySet":
        return self.filter(shelf.keys)

    def numbered(self, pks: Sequence[int]) -> "KeyQuerySet":
        """Those of the keys that have one of these numbers, looked up by them."""
        return self.filter(pk__in=pks).read_from("")

    def read_from(self, index: str) -> "KeyQuerySet":
        """The same keys, which SQLite reads from this index or not at all; PostgreSQL plans as it likes.

        Without an index it finds each key by its number, which another table or the query gives.
        """
        return read_from(self.all(), index)

    def rotating(self, at: datetime) -> "KeyQuerySet":
        """Keys that are being replaced, and work for a while yet: there are never many."""
        return self.filter(_scheduled(at))

    def over(self, at: datetime) -> "KeyQuerySet":
        """Of an ended shelf, the keys of the second table."""
        return self.filter(~_scheduled(at))

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
        return self.filter(Q(created_by=user) | Q(key_id__in=self.shown_to(user, project)))

    def made_by_others(self, user: "User") -> "KeyQuerySet":
        return self.filter(Q(created_by=None) | ~Q(created_by=user))

    @staticmethod
    def shown_to(user: "User", project: "Project") -> Any:
        """The ids of keys whose secret was shown to this person after somebody had made them."""
        seen = AuditEvent.objects.filter(
            project_id=project.pk,
            actor_id=str(user.pk),
            # Word for word as in their index (`AuditEvent`).
            object_kind=_Spelt("key"),
            actor_kind=_Spelt("person"),
            verb__in=[_Spelt(verb) for verb in _SHOWS_A_SECRET],
        )
        return seen.values("object_id")

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
    # The project as well, so that an index of activity answers, and no row of it is read.
    unused = Q(activity__last_used_at=NEVER_USED, activity__project=F("project"))
    return Q(confirmed_at=None) & unused & ~Q(type=KeyType.SYSTEM)


_STATUS: Final[dict[str, Callable[[datetime], Q]]] = {
    "active": _active,
    "unconfirmed": lambda at: _usable(at) & _unconfirmed(),
    "expires_soon": _soon,
    "paused": lambda at: Q(revoked_at=None, paused_at__isnull=False, expires_at__gt=at),
    "expired": lambda at: Q(expires_at__lte=at),
}
