"""How invented keys are written: many rows at once, past the verbs. For `manage.py seed` alone.

A million verbs would take an hour. Constraints and triggers hold all the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.db.models import Model

from keys.models import DayCount, Key, KeyActivity
from keys.seeding import CHANNELS, PEOPLE, Invented
from projects import audit
from projects.audit import Actor
from projects.models import AuditEvent, Channel, Membership, Project, User
from projects.names import fold

BATCH: Final = 10_000
_EVENTS: Final = 1_000
# Of SQLite's pages, so that they needn't be read again for each row: 256 MB, given back afterwards.
_CACHE: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Seeded:
    """A project with its invented people and channels, in the order of `keys.seeding`."""

    project: Project
    people: Sequence[User]
    channels: Sequence[Channel]


def furnish(project: Project, at: datetime) -> Seeded:
    """Give the project its people and channels, and return them. Nobody can sign in as one of them."""
    users = [
        User(
            email=f"{_plain(name)}@{project.slug}.example", name=name, password=make_password(None),
            date_joined=at,
        )
        for name, _ in PEOPLE
    ]  # fmt: skip
    User.objects.bulk_create(users)
    Membership.objects.bulk_create(
        Membership(project=project, user=user, role=role, created_at=at)
        for user, (_, role) in zip(users, PEOPLE, strict=True)
    )
    channels = [
        Channel(
            project=project, slug=_plain(name).replace(".", "-"), name=name, name_folded=fold(name),
            kind=kind, created_at=at, created_by_label=PEOPLE[0][0],
        )
        for name, kind in CHANNELS
    ]  # fmt: skip
    Channel.objects.bulk_create(channels)
    return Seeded(project, users, channels)


def prepare() -> None:
    """Let SQLite remember more of its indexes: each row touches a page of every one of them."""
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA cache_size = -{_CACHE}")


def settle() -> None:
    """Give the memory back; PostgreSQL is told how much there is now, as it would find out by itself."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA cache_size = -2000")
            return
        for model in (Key, KeyActivity, DayCount, AuditEvent):
            cursor.execute(f"ANALYZE {model._meta.db_table}")


def write(seeded: Seeded, invented: Sequence[Invented]) -> None:
    """Insert the keys, what is known of their use, and their counters, in one transaction."""
    with transaction.atomic():
        ids = _ids(len(invented))
        known = list(zip(ids, invented, strict=True))
        rows = [
            _key(seeded, pk, key, pk_before if key.replaces else None)
            for pk_before, (pk, key) in zip([None, *ids], known, strict=False)
        ]
        project = seeded.project.pk
        uses = [(pk, project, key.last_used_at, key.address, key.client) for pk, key in known]
        counts = [(pk, day, "valid", count) for pk, key in known for day, count in key.days.items()]
        _insert(Key, _KEY_COLUMNS, rows)
        _insert(KeyActivity, _USE_COLUMNS, uses)
        _insert(DayCount, _COUNT_COLUMNS, counts)


_KEY_COLUMNS: Final = (
    "id", "project_id", "key_id", "type", "environment", "name", "name_folded", "note", "scopes",
    "channel_id", "holder", "holder_folded", "networks", "rate", "secret_hash", "last4", "created_at",
    "created_by_id", "created_by_label", "predecessor_id", "confirmed_at", "expires_at", "paused_at",
    "revoked_at", "revoked_by_label", "revoked_reason", "version",
)  # fmt: skip
_USE_COLUMNS: Final = ("key_id", "project_id", "last_used_at", "last_used_address", "last_used_client")
_COUNT_COLUMNS: Final = ("key_id", "day", "outcome", "count")


def _key(seeded: Seeded, pk: int, key: Invented, predecessor: int | None) -> tuple[Any, ...]:
    channel = None if key.channel is None else seeded.channels[key.channel].pk
    maker = seeded.people[key.maker]
    ender = "" if key.ender is None else seeded.people[key.ender].name
    return (
        pk, seeded.project.pk, key.key_id, key.type, key.environment, key.name, fold(key.name), "",
        key.scopes, channel, key.holder, fold(key.holder), "", "", key.secret_hash, key.last4,
        key.created_at, maker.pk, maker.name, predecessor, key.confirmed_at, key.expires_at, key.paused_at,
        key.revoked_at, ender, key.reason, 1,
    )  # fmt: skip


def record(seeded: Seeded, invented: Iterable[Invented], at: datetime) -> None:
    """Write the events of these keys' lives into the project's log, in the order of their times.

    They are invented like the keys; what stands before them in the log says so.
    """
    events = sorted((event for key in invented for event in _events(seeded, key)), key=lambda event: event.at)
    for start in range(0, len(events), _EVENTS):
        with audit.log(seeded.project.pk, Actor.system(), at) as log:
            log.record_past(events[start : start + _EVENTS])


def _events(seeded: Seeded, key: Invented) -> list[AuditEvent]:
    made: dict[str, Any] = {
        "type": key.type,
        "environment": key.environment,
        "scopes": key.scopes.split(),
    }
    events = [_event(seeded, key, "key.issued", key.maker, key.created_at, made)]
    if key.ender is not None and key.revoked_at is not None:
        reason = {"reason": key.reason}
        events.append(_event(seeded, key, "key.revoked", key.ender, key.revoked_at, reason))
    return events


def _event(
    seeded: Seeded, key: Invented, verb: str, person: int, at: datetime, changes: dict[str, Any]
) -> AuditEvent:
    user = seeded.people[person]
    return AuditEvent(
        project_id=seeded.project.pk, at=at, actor_kind="person", actor_id=str(user.pk),
        actor_label=user.name, verb=verb, object_kind="key", object_id=key.key_id, object_label=key.name,
        changes=changes,
    )  # fmt: skip


def _ids(count: int) -> list[int]:
    """Return primary keys for so many keys, which nobody else gets. Inside a transaction."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sql = "SELECT nextval(pg_get_serial_sequence('keys_key', 'id')) FROM generate_series(1, %s)"
            cursor.execute(sql, [count])
            return [pk for (pk,) in cursor.fetchall()]
        # The transaction has the write lock from its beginning.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = 'keys_key'")
        (last,) = cursor.fetchone() or (0,)
    return list(range(last + 1, last + 1 + count))


def _insert(model: type[Model], columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert the rows: by COPY on PostgreSQL; on SQLite as one prepared statement, its times as text."""
    table, names = model._meta.db_table, ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
            return
        marks = ", ".join("?" * len(columns))
        # Past Django's own cursor, which rewrites the statement's marks.
        plain = connection.connection.cursor()
        adapted = (tuple(map(_plain_value, row)) for row in rows)
        plain.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", adapted)  # noqa: S608


def _plain_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None))
    return str(value) if type(value) not in (str, int, type(None)) else value


def _plain(name: str) -> str:
    """Return a name as the part of an address: `mara.lindqvist`."""
    folded = fold(name).translate(str.maketrans("øöåüë", "ooaue"))
    return ".".join(folded.split())
