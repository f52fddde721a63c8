"""Every trigger of every table, for both databases.

What must stay true whoever writes (the admin, a bulk call of the ORM, a person with a SQL prompt) and
that a constraint can't say is said here. SQLite drops a table's triggers when a migration rebuilds the
table, so all of them are installed anew after each migrate, from this one place.

Tables are named in text: this module knows the schema, not the code of `keys`.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper


@dataclass(frozen=True, slots=True)
class Guard:
    """Refuses an operation on a row of `table` with `message`, always or `when` a condition holds.

    The condition is SQL that both databases read, over `OLD` (not of an INSERT) and `NEW` (not of a DELETE).
    """

    name: str
    table: str
    operation: Literal["INSERT", "UPDATE", "DELETE"]
    message: str
    when: str = ""


APPEND_ONLY: Final = "The audit log is append-only."

GUARDS: Final = (
    Guard("keyrack_audit_no_update", "projects_auditevent", "UPDATE", APPEND_ONLY),
    Guard("keyrack_audit_no_delete", "projects_auditevent", "DELETE", APPEND_ONLY),
    Guard("keyrack_chain_no_delete", "projects_auditchain", "DELETE", APPEND_ONLY),
    Guard(
        "keyrack_chain_forward", "projects_auditchain", "UPDATE",
        "The head of the audit log moves one event at a time.",
        "NEW.project_id <> OLD.project_id OR NEW.number <> OLD.number + 1",
    ),
    Guard(
        "keyrack_project_no_delete", "projects_project", "DELETE",
        "A project's row stays, so that its slug is never used again.",
    ),
    Guard(
        "keyrack_project_slug", "projects_project", "UPDATE",
        "A project keeps its slug.", "NEW.slug <> OLD.slug",
    ),
    Guard(
        "keyrack_project_stays_deleted", "projects_project", "UPDATE",
        "A deleted project stays deleted.",
        "OLD.deleted_at IS NOT NULL AND (NEW.deleted_at IS NULL OR NEW.deleted_at > OLD.deleted_at)",
    ),
    Guard(
        "keyrack_key_stays_revoked", "keys_key", "UPDATE",
        "A revoked key never comes back.",
        "OLD.revoked_at IS NOT NULL AND (NEW.revoked_at IS NULL OR NEW.revoked_at > OLD.revoked_at"
        " OR NEW.secret_hash <> OLD.secret_hash)",
    ),
    Guard(
        "keyrack_key_identity", "keys_key", "UPDATE",
        "A key keeps its id, project, type, environment, channel, holder and creation time.",
        "NEW.key_id <> OLD.key_id OR NEW.project_id <> OLD.project_id OR NEW.type <> OLD.type"
        " OR NEW.environment <> OLD.environment OR NEW.created_at <> OLD.created_at"
        " OR COALESCE(NEW.channel_id, 0) <> COALESCE(OLD.channel_id, 0)"
        " OR NEW.holder_folded <> OLD.holder_folded",
    ),
    Guard(
        "keyrack_key_agent_end", "keys_key", "UPDATE",
        "An agent key ends 90 days after its creation.",
        "OLD.type = 'agent' AND NEW.expires_at <> OLD.expires_at",
    ),
    Guard(
        "keyrack_key_channel_is_open", "keys_key", "INSERT",
        "A channel key belongs to an open channel of its own project.",
        "NEW.channel_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM projects_channel"
        " WHERE id = NEW.channel_id AND project_id = NEW.project_id AND closed_at IS NULL)",
    ),
    Guard(
        "keyrack_key_no_delete", "keys_key", "DELETE",
        "A key's row stays as long as its project.",
        "(SELECT deleted_at FROM projects_project WHERE id = OLD.project_id) IS NULL",
    ),
    Guard(
        "keyrack_channel_identity", "projects_channel", "UPDATE",
        "A channel keeps its slug and its project, and once closed stays closed.",
        "NEW.slug <> OLD.slug OR NEW.project_id <> OLD.project_id"
        " OR (OLD.closed_at IS NOT NULL AND (NEW.closed_at IS NULL OR NEW.closed_at > OLD.closed_at))",
    ),
    Guard(
        "keyrack_channel_no_delete", "projects_channel", "DELETE",
        "A channel's row stays as long as its project, so that its slug is never used again.",
        "(SELECT deleted_at FROM projects_project WHERE id = OLD.project_id) IS NULL",
    ),
    Guard(
        "keyrack_invitation_stays_ended", "projects_invitation", "UPDATE",
        "An invitation keeps its project and its address, and one that has ended stays so.",
        "NEW.public_id <> OLD.public_id OR NEW.project_id <> OLD.project_id OR NEW.email <> OLD.email"
        " OR (OLD.accepted_at IS NOT NULL AND NEW.accepted_at IS NULL)"
        " OR (OLD.revoked_at IS NOT NULL AND NEW.revoked_at IS NULL)"
        " OR ((OLD.accepted_at IS NOT NULL OR OLD.revoked_at IS NOT NULL)"
        " AND NEW.token_hash <> OLD.token_hash)",
    ),
    Guard(
        "keyrack_provider_key_identity", "keys_providerkey", "UPDATE",
        "A provider key keeps its id and its project.",
        "NEW.public_id <> OLD.public_id OR NEW.project_id <> OLD.project_id",
    ),
    Guard(
        "keyrack_upstream_made", "keys_upstream", "INSERT",
        "An upstream uses a provider key of its own project.",
        "NEW.provider_key_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM keys_providerkey"
        " WHERE id = NEW.provider_key_id AND project_id = NEW.project_id)",
    ),
    Guard(
        "keyrack_upstream_linked", "keys_upstream", "UPDATE",
        "An upstream keeps its slug and its project, and uses a provider key of that project.",
        "NEW.slug <> OLD.slug OR NEW.project_id <> OLD.project_id OR (NEW.provider_key_id IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM keys_providerkey"
        " WHERE id = NEW.provider_key_id AND project_id = NEW.project_id))",
    ),
    Guard(
        "keyrack_activity_no_delete", "keys_keyactivity", "DELETE",
        "What is known of a key's use stays as long as its project.",
        "(SELECT deleted_at FROM projects_project WHERE id = OLD.project_id) IS NULL",
    ),
)  # fmt: skip

# What keeps SQLite's search index true (`keys.search_index`). A key's number in it begins with its project
# and its shelf; the index has no contents, so it is told what to forget.
_SEARCH: Final = "keys_search"
_PLACE: Final = (
    "({row}.project_id * 4 + ({row}.revoked_at IS NOT NULL) * 2 + ({row}.type = 'agent')) * 274877906944"
    " + {row}.id"
)
_ENTER: Final = f"INSERT INTO {_SEARCH}(rowid, name) VALUES ({_PLACE.format(row='NEW')}, NEW.name_folded);"  # noqa: S608
_LEAVE: Final = (
    f"INSERT INTO {_SEARCH}({_SEARCH}, rowid, name) "  # noqa: S608
    f"VALUES ('delete', {_PLACE.format(row='OLD')}, OLD.name_folded);"
)
_KEEPERS: Final = {
    "keyrack_search_enter": f"AFTER INSERT ON keys_key BEGIN {_ENTER} END",
    "keyrack_search_move": (
        "AFTER UPDATE OF id, project_id, type, name_folded, revoked_at ON keys_key "
        f"WHEN {_PLACE.format(row='NEW')} <> {_PLACE.format(row='OLD')} "
        "OR NEW.name_folded <> OLD.name_folded "
        f"BEGIN {_LEAVE} {_ENTER} END"
    ),
    "keyrack_search_leave": f"AFTER DELETE ON keys_key BEGIN {_LEAVE} END",
}

_GUARDED_TABLES: Final = tuple(dict.fromkeys(guard.table for guard in GUARDS))


def install(connection: BaseDatabaseWrapper) -> None:
    """Install every trigger whose table exists. Idempotent.

    No trigger is missing for a moment: a server that starts beside one that runs must leave no gap in its
    guard. SQLite replaces all of them in one transaction, PostgreSQL each in one statement: a transaction
    would lock table after table against the other's.
    """
    with transaction.atomic(connection.alias) if connection.vendor == "sqlite" else nullcontext():
        _run(connection, _CREATE[connection.vendor])


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take every trigger off."""
    _run(connection, _DROP[connection.vendor])


def installed(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the names of Keyrack's triggers that stand in the database. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_LIST[connection.vendor])
        return {name for (name,) in cursor.fetchall()}


def expected(connection: BaseDatabaseWrapper) -> set[str]:
    """Return the names of the triggers that should stand in this kind of database."""
    names = {guard.name for guard in GUARDS}
    if connection.vendor == "sqlite":
        names |= _KEEPERS.keys()
    if connection.vendor == "postgresql":
        names |= {_truncate_name(table) for table in _GUARDED_TABLES}
    return names


@contextmanager
def lifted(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Take every trigger off and put them back: for emptying a test database, nothing else.

    The search index is emptied with it.
    """
    remove(connection)
    try:
        yield
        if connection.vendor == "sqlite":
            with connection.cursor() as cursor:
                cursor.execute(f"INSERT INTO {_SEARCH}({_SEARCH}) VALUES ('delete-all')")  # noqa: S608
    finally:
        install(connection)


def remove_before_migrate(*, using: str, plan: Any = (), **_: Any) -> None:
    """Receiver of `pre_migrate`: SQLite can't rebuild a table that a trigger of another one speaks of.

    With nothing to migrate the triggers stay, so that a server that starts never leaves a gap in the guard
    of one that runs.
    """
    if plan and connections[using].vendor == "sqlite":
        remove(connections[using])


def install_after_migrate(*, using: str, **_: Any) -> None:
    """Receiver of `post_migrate`, which is sent when every migration of the run is done."""
    install(connections[using])


def _run(connection: BaseDatabaseWrapper, statements: "_Statements") -> None:
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for guard in GUARDS:
            if guard.table in tables:
                for sql in statements.guard(guard):
                    cursor.execute(sql)
        for table in _GUARDED_TABLES:
            if table in tables:
                for sql in statements.table(table):
                    cursor.execute(sql)
        if _SEARCH in tables:
            for name, body in _KEEPERS.items():
                for sql in statements.keeper(name, body):
                    cursor.execute(sql)


class _Statements:
    """What one kind of database needs for a guard, and for a table as a whole."""

    def guard(self, guard: Guard) -> list[str]:
        raise NotImplementedError

    def table(self, table: str) -> list[str]:
        return []

    def keeper(self, name: str, body: str) -> list[str]:
        return []


class _SqliteDrop(_Statements):
    def guard(self, guard: Guard) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {guard.name}"]

    def keeper(self, name: str, body: str) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {name}"]


class _SqliteCreate(_Statements):
    def guard(self, guard: Guard) -> list[str]:
        when = f"WHEN {guard.when}" if guard.when else ""
        return [
            *_SqliteDrop().guard(guard),
            f"CREATE TRIGGER {guard.name} BEFORE {guard.operation} ON {guard.table} "
            f"FOR EACH ROW {when} BEGIN SELECT RAISE(ABORT, '{_quoted(guard.message)}'); END",
        ]

    def keeper(self, name: str, body: str) -> list[str]:
        return [*_SqliteDrop().keeper(name, body), f"CREATE TRIGGER {name} {body}"]


class _PostgresDrop(_Statements):
    def guard(self, guard: Guard) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {guard.name} ON {guard.table}"]

    def table(self, table: str) -> list[str]:
        return [f"DROP TRIGGER IF EXISTS {_truncate_name(table)} ON {table}"]


class _PostgresCreate(_Statements):
    def guard(self, guard: Guard) -> list[str]:
        row = "OLD" if guard.operation == "DELETE" else "NEW"
        return [
            _postgres_function(guard.name, guard.message, guard.when or "TRUE", row),
            f"CREATE OR REPLACE TRIGGER {guard.name} BEFORE {guard.operation} ON {guard.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {guard.name}()",
        ]

    def table(self, table: str) -> list[str]:
        name = _truncate_name(table)
        return [
            _postgres_function(name, f"{table} can't be emptied.", "TRUE", "NULL"),
            f"CREATE OR REPLACE TRIGGER {name} BEFORE TRUNCATE ON {table} EXECUTE FUNCTION {name}()",
        ]


def _postgres_function(name: str, message: str, when: str, row: str) -> str:
    # 23514 is check_violation: Django raises IntegrityError for it, as it does on SQLite.
    return (
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $guard$ BEGIN "
        f"IF {when} THEN RAISE EXCEPTION '{_quoted(message)}' USING ERRCODE = '23514'; END IF; "
        f"RETURN {row}; END $guard$"
    )


def _truncate_name(table: str) -> str:
    return f"keyrack_{table}_no_truncate"


def _quoted(message: str) -> str:
    return message.replace("'", "''")


_CREATE: Final = {"sqlite": _SqliteCreate(), "postgresql": _PostgresCreate()}
_DROP: Final = {"sqlite": _SqliteDrop(), "postgresql": _PostgresDrop()}
_LIST: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE 'keyrack%'",
    "postgresql": "SELECT DISTINCT tgname FROM pg_trigger WHERE tgname LIKE 'keyrack%'",
}
