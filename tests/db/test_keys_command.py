"""`manage.py keys` in this process; `tests/cli` runs it as a shell does."""

import io
import json
import logging
import os
import pwd
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError, connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys import lifecycle, throttles, tokens
from keys.kinds import NEVER_EXPIRES, NEVER_USED, KeyType
from keys.lifecycle import Issued
from keys.management.commands import keys as command
from keys.management.commands._keys import exits, listings, tables
from keys.models import Key, KeyActivity
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

SYSTEM_USER = pwd.getpwuid(os.getuid()).pw_name


@dataclass(frozen=True)
class Said:
    """What a run of the command wrote."""

    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def row(self) -> dict[str, Any]:
        [row] = self.rows
        return row


def run(*arguments: str) -> Said:
    out, err = io.StringIO(), io.StringIO()
    call_command("keys", *arguments, stdout=out, stderr=err)
    return Said(out.getvalue(), err.getvalue())


def failing(code: int, *arguments: str) -> tuple[str, Said]:
    """Run the command, which must end with `code`; return its error, and what it wrote before."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("keys", *arguments, stdout=out, stderr=err)
    assert caught.value.returncode == code, caught.value
    return str(caught.value), Said(out.getvalue(), err.getvalue())


def refused(code: int, *arguments: str) -> str:
    """As `failing`, for a run that writes nothing to the database and nothing to standard output."""
    before = everything()
    error, said = failing(code, *arguments)
    assert everything() == before
    assert said.out == ""
    return error


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Somebody who types this."""
    return lambda typed: monkeypatch.setattr("sys.stdin", Terminal(typed))


@pytest.fixture
def issued(project: Project) -> Issued:
    return IssuedFactory(project=project, name="Docs crawler")


def used(key: Key, at: datetime) -> None:
    KeyActivity.objects.filter(pk=key.pk).update(last_used_at=at)


# list


def test_it_lists_a_project_s_keys_newest_first(project: Project, at: datetime) -> None:
    long = IssuedFactory(
        project=project, name="資料クローラー", scopes=["sources:read", "sources:write"],
        at=at + timedelta(seconds=1), expires_at=at + timedelta(days=90),
    ).key  # fmt: skip
    IssuedFactory(name="Of another project")
    used(long, datetime(2026, 11, 20, 12, 11, tzinfo=UTC))
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    said = run("list", "acme")
    header, *rows = said.out.splitlines()
    assert said.err == ""
    assert re.split(r"  +", header) == [
        "NAME", "KEY", "KEY ID", "TYPE", "ACCESS", "STATUS", "CREATED", "LAST USED", "EXPIRES",
    ]  # fmt: skip
    assert [re.split(r"  +", row) for row in rows] == [
        ["資料クローラー", long.preview, long.key_id, "Restricted", "sources:read, sources:write", "Active",
         f"{long.created_at:%Y-%m-%dT%H:%M:%SZ}", "2026-11-20T12:11:00Z",
         f"{long.expires_at:%Y-%m-%dT%H:%M:%SZ}"],
        ["Automator Key", automator.preview, automator.key_id, "System", "Everything", "Active",
         f"{automator.created_at:%Y-%m-%dT%H:%M:%SZ}", "never", "never"],
    ]  # fmt: skip
    # A terminal gives a wide character two columns.
    assert tables.width("資料クローラー") == 14
    for row in rows:
        assert tables.width(row[: row.index("kr_live_")]) == header.index("KEY")


def test_its_columns_only_ever_grow() -> None:
    table = tables.Table(["NAME", "KEY"])
    assert list(table.lines([["Docs", "a"]])) == ["NAME  KEY", "Docs  a"]
    assert list(table.lines([["Docs crawler", "a"]])) == ["Docs crawler  a"]
    assert list(table.lines([["Docs", "a"]])) == ["Docs          a"]
    assert tables.width("e\u0301") == 1


def test_its_json_has_the_members_of_the_json_api(project: Project, issued: Issued, at: datetime) -> None:
    used(issued.key, at - timedelta(hours=1))
    asking = IssuedFactory(project=project, type=KeyType.PRIVILEGED, name="API", at=at)
    answer = Client().get("/api/v1/keys", headers={"Authorization": f"Bearer {asking.token}"})
    assert run("list", "acme", "--json").rows == answer.json()["keys"]
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system(), at=at, reason="Leaked")
    answer = Client().get(
        "/api/v1/keys", {"status": "revoked"}, headers={"Authorization": f"Bearer {asking.token}"}
    )
    assert run("list", "acme", "--status", "revoked", "--json").row == answer.json()["keys"][0]


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ([], ["Test", "Old", "Reader", "Docs crawler", "Automator Key"]),
        (["--q", "CRAWL"], ["Docs crawler"]),
        (["--q", ""], ["Test", "Old", "Reader", "Docs crawler", "Automator Key"]),
        (["--type", "viewer"], ["Reader"]),
        (["--type", "system"], ["Automator Key"]),
        (["--environment", "test"], ["Test"]),
        (["--status", "expired"], ["Old"]),
        (["--status", "unconfirmed"], ["Test", "Reader", "Docs crawler"]),
        (["--status", "active"], ["Automator Key"]),
        (["--status", "revoked"], ["Gone"]),
        (["--status", "revoked", "--q", "docs"], []),
        (["--limit", "2"], ["Test", "Old"]),
        (["--limit", "5"], ["Test", "Old", "Reader", "Docs crawler", "Automator Key"]),
        (["--all"], ["Test", "Old", "Reader", "Docs crawler", "Automator Key"]),
    ],
    ids=lambda value: " ".join(value),
)  # fmt: skip
def test_it_lists_what_was_asked_for(
    project: Project, at: datetime, asked: list[str], names: list[str]
) -> None:
    def key(name: str, seconds: int, **draft: Any) -> Key:
        return IssuedFactory(project=project, name=name, at=at + timedelta(seconds=seconds), **draft).key

    project.created_at = at
    key("Docs crawler", 1)
    key("Reader", 2, type=KeyType.VIEWER)
    long_ago = at - timedelta(days=2)
    key("Old", 3, expires_at=at + timedelta(seconds=4))
    key("Test", 4, environment="test")
    gone = key("Gone", 5)
    lifecycle.revoke(project, gone.key_id, actor=Actor.system(), at=long_ago)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("django.utils.timezone.now", lambda: at + timedelta(seconds=10))
        said = run("list", "acme", "--json", *asked)
    assert [row["name"] for row in said.rows] == names
    assert said.err == (
        "The first 2; --all lists the rest.\n" if "2" in asked else "" if names else "No keys match.\n"
    )


@pytest.mark.parametrize("what", ["key_id", "preview", "start"])
def test_it_finds_a_key_by_what_is_public_of_it(project: Project, issued: Issued, what: str) -> None:
    key = issued.key
    text = {"key_id": key.key_id, "preview": key.preview, "start": f"kr_live_{key.key_id}"}[what]
    assert run("list", "acme", "--q", text, "--json").row["key_id"] == key.key_id


def test_an_empty_list_is_told_beside_the_output(project: Project) -> None:
    said = run("list", "acme", "--q", "nothing")
    assert (said.out, said.err) == (
        "NAME  KEY  KEY ID  TYPE  ACCESS  STATUS  CREATED  LAST USED  EXPIRES\n",
        "No keys match.\n",
    )


def test_it_reads_page_by_page_and_shows_each_key_once(
    project: Project, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for second in range(6):
        IssuedFactory(project=project, at=at)
        IssuedFactory(project=project, at=at + timedelta(seconds=second + 1))
    monkeypatch.setattr(listings, "_AT_ONCE", 4)
    with CaptureQueriesContext(connection) as queries:
        paged = run("list", "acme", "--all", "--json")
    pages = [query["sql"] for query in queries if "LIMIT 5" in query["sql"]]
    assert len(pages) == 4
    monkeypatch.undo()
    assert paged == run("list", "acme", "--all", "--json")
    assert len({row["key_id"] for row in paged.rows}) == 13
    assert run("list", "acme", "--limit", "13", "--json") == paged


def test_it_asks_as_many_queries_for_one_key_as_for_fifty(project: Project) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as asked:
            run("list", "acme", "--json")
        return len(asked)

    with_one = queries()
    for _ in range(49):
        IssuedFactory(project=project)
    assert queries() == with_one == 3


def test_a_long_run_says_how_far_it_is_unless_a_terminal_shows_it(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "_EVERY", 0.0)
    assert run("list", "acme").err == "1 keys\n"
    out, err = Terminal(), io.StringIO()
    call_command("keys", "list", "acme", stdout=out, stderr=err)
    assert err.getvalue() == ""


# issue


def test_issue_writes_the_token_alone_to_standard_output(project: Project) -> None:
    said = run("issue", "acme", " Docs  crawler ", "--scope", "sources:read")
    token = said.out.removesuffix("\n")
    key = Key.objects.of(project).get(name="Docs crawler")
    assert check(token, at=key.created_at, project="acme", scopes=["sources:read"]).is_valid
    assert said.err.startswith(f"Docs crawler ({key.key_id}) was issued. It expires ")
    assert token not in said.err
    assert (key.type, key.environment, key.scopes) == ("restricted", "live", "sources:read")
    assert key.expires_at - key.created_at == timedelta(days=90)
    assert key.confirmed_at == key.created_at


def test_the_log_says_which_user_of_the_system_it_was(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "SUDO_USER"):
        monkeypatch.setenv(variable, "somebody-else")
    token = run("issue", "acme", "Reader", "--type", "viewer").out.strip()
    key = Key.objects.of(project).get(name="Reader")
    event = events(project)[-1]
    assert (event.verb, event.actor_kind, event.actor_label) == (
        "key.issued", "system", f"command line ({SYSTEM_USER})",
    )  # fmt: skip
    assert key.created_by_label == event.actor_label
    parsed = tokens.parse(token)
    assert parsed is not None
    assert parsed.secret not in repr(everything())


def test_a_user_without_a_name_is_named_by_number(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    run("issue", "acme", "Reader", "--type", "viewer")
    assert events(project)[-1].actor_label == "command line (user 4000000000)"


@pytest.mark.parametrize(
    ("asked", "lifetime"),
    [
        ([], timedelta(days=90)),
        (["--expires-in", "30d"], timedelta(days=30)),
        (["--expires-in", "90d"], timedelta(days=90)),
        (["--expires-in", "365d"], timedelta(days=365)),
        (["--never"], None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_lifetime_counts_from_now(project: Project, asked: list[str], lifetime: timedelta | None) -> None:
    run("issue", "acme", "Reader", "--type", "viewer", *asked)
    key = Key.objects.of(project).get(name="Reader")
    assert key.expires_at == (key.created_at + lifetime if lifetime else NEVER_EXPIRES)


def test_a_day_is_lived_to_its_end(project: Project, at: datetime) -> None:
    tomorrow = (at + timedelta(days=1)).date()
    run("issue", "acme", "Reader", "--type", "viewer", "--expires-on", tomorrow.isoformat())
    expires_at = Key.objects.of(project).get(name="Reader").expires_at
    assert expires_at == datetime.combine(tomorrow, datetime.max.time(), UTC)


def test_each_option_reaches_the_key(project: Project) -> None:
    row = run(
        "issue", "acme", "Docs crawler", "--type", "restricted", "--scope", "sources:write",
        "--scope", "sources:read", "--environment", "test", "--note", "Reads the docs.", "--never", "--json",
    ).row  # fmt: skip
    token = row.pop("token")
    assert token.startswith(f"kr_test_{row['key_id']}")
    assert run("list", "acme", "--q", "docs", "--json").row == row
    assert (row["scopes"], row["environment"], row["note"], row["expires_at"], row["status"]) == (
        ["sources:read", "sources:write"], "test", "Reads the docs.", None, "active",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "lines"),
    [
        ([""], ["name: Enter a name."]),
        (["é" * 101], ["name: Use 100 characters or fewer."]),
        (["docs CRAWLER"], ["name: Another key is called “Docs crawler”."]),
        (["New", "--scope", "sources:fly"], ["scopes: This project has no scope called “sources:fly”."]),
        (["New", "--type", "viewer", "--scope", "sources:read"],
         ["scopes: Only a restricted key or an agent key has scopes of its own."]),
        (["New", "--expires-on", "2020-01-01"], ["expires_at: Choose a date after today."]),
        (["New", "--expires-on", "today"], ["expires_at: Choose a date after today."]),
        (["\a", "--expires-on", "2020-01-01", "--note", "\u202e"],
         ["name: Use letters, digits, blanks and punctuation that can be seen.",
          "note: Use letters, digits, blanks and punctuation that can be seen.",
          "expires_at: Choose a date after today."]),
    ],
    ids=repr,
)  # fmt: skip
def test_what_breaks_a_rule_is_said_by_field(
    project: Project, issued: Issued, at: datetime, asked: list[str], lines: list[str]
) -> None:
    asked = [at.date().isoformat() if argument == "today" else argument for argument in asked]
    if "--scope" not in asked:
        asked += ["--scope", "sources:read"]
    error = refused(exits.REFUSED, "issue", "acme", *asked)
    assert sorted(error.splitlines()) == sorted(lines)


def test_a_restricted_key_needs_a_scope(project: Project) -> None:
    assert refused(exits.REFUSED, "issue", "acme", "New") == "scopes: Pick at least one scope."


def test_a_spent_idempotency_key_makes_no_second_key(project: Project) -> None:
    asked = ["issue", "acme", "Reader", "--type", "viewer", "--idempotency-key", "deploy 42"]
    key_id = run(*asked, "--json").row["key_id"]
    assert refused(exits.CONFLICT, *asked) == (
        f"Reader ({key_id}): This key was already created. Its secret can't be shown again."
    )


class Full(io.StringIO):
    """A disk without room, or a reader who is gone."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def test_a_token_that_nobody_got_is_told_about(project: Project) -> None:
    with pytest.raises(CommandError) as caught:
        call_command("keys", "issue", "acme", "Reader", "--type", "viewer", stdout=Full())
    key = Key.objects.of(project).get(name="Reader")
    assert caught.value.returncode == exits.LOST
    assert str(caught.value) == (
        f"Reader ({key.key_id}) was issued, but its token can't be written (No space left on device):"
        " nobody has it. Revoke it and issue another."
    )
    with pytest.raises(CommandError, match=r"nobody has it\. Renew it again\."):
        call_command("keys", "renew", "acme", "--automator", stdout=Full())


# renew


def test_renew_gives_the_automator_key_a_new_secret(project: Project) -> None:
    first = run("renew", "acme", "--automator").out.strip()
    said = run("renew", "acme", "--automator")
    key = Key.objects.of(project).get(type=KeyType.SYSTEM)
    now = datetime.now(UTC)
    assert check(first, at=now).outcome is Outcome.UNKNOWN
    assert check(said.out.strip(), at=now, project="acme").is_valid
    assert said.err == (
        f"Automator Key ({key.key_id}) has a new secret; the old one has stopped. It never expires."
        " Its token is shown only this once.\n"
    )
    assert events(project)[-1].verb == "key.renewed"


def test_renew_gives_a_key_that_nobody_stored_a_new_secret(project: Project, issued: Issued) -> None:
    row = run("renew", "acme", issued.key.key_id, "--json").row
    assert check(row["token"], at=datetime.now(UTC)).is_valid
    assert (row["key_id"], row["version"], row["status"]) == (issued.key.key_id, 2, "active")


def test_renew_refuses_a_key_in_use(project: Project) -> None:
    key_id = run("issue", "acme", "Reader", "--type", "viewer", "--json").row["key_id"]
    error = refused(exits.CONFLICT, "renew", "acme", key_id)
    assert error.startswith(f"Reader ({key_id}): ")


def test_renew_refuses_a_revoked_key(project: Project, issued: Issued) -> None:
    run("revoke", "acme", issued.key.key_id)
    error = refused(exits.CONFLICT, "renew", "acme", issued.key.key_id)
    assert error.endswith("already revoked this key.")


def test_renew_tells_a_race_as_a_conflict(
    project: Project, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    renew = lifecycle.renew
    key_id = issued.key.key_id

    def late(*args: Any, **kwargs: Any) -> Issued:
        renew(project, key_id, actor=Actor.system(), at=kwargs["at"], version=kwargs["version"])
        return renew(*args, **kwargs)

    monkeypatch.setattr(lifecycle, "renew", late)
    assert "Docs crawler" in failing(exits.CONFLICT, "renew", "acme", key_id)[0]


# revoke


def test_revoke_ends_each_key_with_its_reason(project: Project) -> None:
    pair = [IssuedFactory(project=project, name=name) for name in ("One", "Two")]
    said = run("revoke", "acme", *(each.key.key_id for each in pair), "--reason", "Laptop stolen")
    assert said.out == "".join(f"{each.key.name} ({each.key.key_id}) was revoked.\n" for each in pair)
    for each in pair:
        assert check(each.token, at=datetime.now(UTC)).outcome is Outcome.REVOKED
    assert [(event.verb, event.changes) for event in events(project)[-2:]] == [
        ("key.revoked", {"reason": "Laptop stolen"})
    ] * 2


def test_revoke_says_which_were_revoked_before(project: Project, issued: Issued) -> None:
    run("revoke", "acme", issued.key.key_id)
    error = refused(exits.CONFLICT, "revoke", "acme", issued.key.key_id)
    assert error == (
        f"Docs crawler ({issued.key.key_id}): command line ({SYSTEM_USER}) already revoked this key."
    )


def test_revoke_goes_on_past_what_it_can_t_revoke(project: Project, issued: Issued) -> None:
    gone, last = IssuedFactory(project=project, name="Gone").key, IssuedFactory(project=project).key
    elsewhere = IssuedFactory(name="Elsewhere").key
    automator = Key.objects.get(project=project, type=KeyType.SYSTEM)
    run("revoke", "acme", gone.key_id)
    asked = [gone.key_id, automator.key_id, elsewhere.key_id, issued.key.key_id, last.key_id, last.key_id]
    error, said = failing(exits.REFUSED, "revoke", "acme", *asked, "--json")
    assert [(row["key_id"], row["outcome"]) for row in said.rows] == [
        (gone.key_id, "already_revoked"), (automator.key_id, "protected"), (elsewhere.key_id, "unknown"),
        (issued.key.key_id, "revoked"), (last.key_id, "revoked"),
    ]  # fmt: skip
    assert [row.get("status") for row in said.rows] == ["revoked", "active", None, "revoked", "revoked"]
    assert len(error.splitlines()) == 3
    assert f"There is no key “{elsewhere.key_id}” in acme." in error
    assert "The Automator Key can't be revoked. Renew it to stop a leak." in error
    assert "Elsewhere" not in error
    assert failing(exits.CONFLICT, "revoke", "acme", gone.key_id, automator.key_id)[0].count("\n") == 1


def test_each_revocation_is_a_transaction_of_its_own(
    project: Project, issued: Issued, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = IssuedFactory(project=project).key
    revoke = lifecycle.revoke

    def away_for_the_second(project: Project, key_id: str, **kwargs: Any) -> Key:
        if key_id == other.key_id:
            raise OperationalError("server closed the connection")
        return revoke(project, key_id, **kwargs)

    monkeypatch.setattr(lifecycle, "revoke", away_for_the_second)
    _, said = failing(exits.NO_DATABASE, "revoke", "acme", issued.key.key_id, other.key_id)
    assert said.out == f"Docs crawler ({issued.key.key_id}) was revoked.\n"
    assert Key.objects.get(pk=issued.key.pk).revoked_at is not None
    assert Key.objects.get(pk=other.pk).revoked_at is None


def test_a_reader_who_is_gone_keeps_no_key_alive(project: Project, issued: Issued) -> None:
    other = IssuedFactory(project=project).key
    call_command("keys", "revoke", "acme", issued.key.key_id, other.key_id, stdout=Full())
    assert not Key.objects.filter(pk__in=[issued.key.pk, other.pk], revoked_at=None).exists()


def test_a_reason_that_breaks_a_rule_revokes_nothing(project: Project, issued: Issued) -> None:
    error = refused(exits.REFUSED, "revoke", "acme", "nope", issued.key.key_id, "--reason", "é" * 201)
    assert error == "reason: Use 200 characters or fewer."


@pytest.mark.parametrize(
    ("typed", "revoked"), [("y\n", True), ("YES\n", True), ("\n", False), ("", False), ("nope\n", False)]
)
def test_revoke_asks_whoever_sits_at_a_terminal(
    project: Project, issued: Issued, terminal: Callable[[str], None], typed: str, revoked: bool
) -> None:
    terminal(typed)
    out, err = io.StringIO(), io.StringIO()
    asked = ["keys", "revoke", "acme", issued.key.key_id, "nope"]
    with pytest.raises(CommandError) as caught:
        call_command(*asked, stdout=out, stderr=err)
    assert caught.value.returncode == exits.REFUSED
    assert err.getvalue() == (
        f"  Docs crawler ({issued.key.preview}), never used\n"
        "  nope: not in acme\n"
        "Requests with these 2 keys fail from the moment you revoke. This can't be undone.\n"
        "Revoke these 2 keys of Acme? [y/N] "
    )
    assert (Key.objects.get(pk=issued.key.pk).revoked_at is not None) is revoked
    assert str(caught.value) == ("There is no key “nope” in acme." if revoked else "Nothing was revoked.")


def test_revoke_asks_nobody_who_said_yes(
    project: Project, issued: Issued, terminal: Callable[[str], None]
) -> None:
    terminal("n\n")
    assert run("revoke", "acme", issued.key.key_id, "--yes").err == ""


def test_a_question_about_many_keys_stays_short(project: Project, terminal: Callable[[str], None]) -> None:
    key_ids = [IssuedFactory(project=project).key.key_id for _ in range(12)]
    terminal("n\n")
    _, said = failing(exits.REFUSED, "revoke", "acme", *key_ids)
    assert said.err.splitlines()[10] == "  and 2 more"


# check


def test_check_says_valid_and_what_the_key_is(
    project: Project, issued: Issued, stdin: Callable[[str], None]
) -> None:
    stdin(f"{issued.token}\n")
    said = run("check", "--project", "acme", "--scope", "sources:read")
    key = issued.key
    assert said.err == ""
    assert said.out.splitlines() == [
        "valid",
        f"key_id:      {key.key_id}",
        "name:        Docs crawler",
        "type:        restricted",
        "environment: live",
        "project:     acme",
        "scopes:      sources:read",
        f"created_at:  {key.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "expires_at:  never",
    ]


def test_its_json_has_the_members_of_whoami(
    project: Project, issued: Issued, stdin: Callable[[str], None]
) -> None:
    stdin(issued.token)
    answer = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {issued.token}"})
    assert run("check", "--json").row == {"verdict": "valid", **answer.json()}


def _revoked(issued: Issued) -> None:
    lifecycle.revoke(issued.key.project, issued.key.key_id, actor=Actor.system(), at=datetime.now(UTC))


def _expired(issued: Issued) -> None:
    Key.objects.filter(pk=issued.key.pk).update(expires_at=issued.key.created_at + timedelta(microseconds=1))


def _paused(issued: Issued) -> None:
    Key.objects.filter(pk=issued.key.pk).update(paused_at=issued.key.created_at)


@pytest.mark.parametrize(
    ("prepare", "asked", "outcome", "error"),
    [
        (_revoked, [], Outcome.REVOKED, "The key was revoked."),
        (_expired, [], Outcome.EXPIRED, "The key has expired."),
        (_paused, [], Outcome.PAUSED, "The key is paused."),
        (None, ["--environment", "test"], Outcome.WRONG_ENVIRONMENT,
         "The key belongs to another environment."),
        (None, ["--scope", "sources:read", "--scope", "sources:write"], Outcome.SCOPE_MISSING,
         "The key doesn't have the scope that this needs. (sources:write)"),
    ],
    ids=lambda value: value if isinstance(value, Outcome) else "",
)  # fmt: skip
def test_a_refusal_has_its_own_exit_code_and_tells_whose_key_it_is(
    issued: Issued, project: Project, stdin: Callable[[str], None],
    prepare: Callable[[Issued], None] | None, asked: list[str], outcome: Outcome, error: str,
) -> None:  # fmt: skip
    if prepare:
        prepare(issued)
    stdin(issued.token)
    text, said = failing(exits.VERDICTS[outcome], "check", *asked)
    assert text == error
    assert said.out.splitlines()[:2] == [outcome, f"key_id:      {issued.key.key_id}"]
    stdin(issued.token)
    row = failing(exits.VERDICTS[outcome], "check", *asked, "--json")[1].row
    assert (row["verdict"], row["key_id"]) == (outcome, issued.key.key_id)
    assert row.get("missing") == ("sources:write" if outcome is Outcome.SCOPE_MISSING else None)


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        (lambda token: "", Outcome.MALFORMED),
        (lambda token: "\n", Outcome.MALFORMED),
        (lambda token: token[:-1], Outcome.MALFORMED),
        (lambda token: f"{token} {token}", Outcome.MALFORMED),
        (lambda token: f"Bearer {token}", Outcome.MALFORMED),
        (lambda token: "x" * 10_000_000, Outcome.MALFORMED),
        (lambda token: "\0\udcff", Outcome.MALFORMED),
        (lambda token: tokens.generate("live", token[8:20]).text, Outcome.UNKNOWN),
        (lambda token: tokens.generate("live").text, Outcome.UNKNOWN),
    ],
    ids=["empty", "blank", "cut", "two", "scheme", "huge", "binary", "wrong secret", "unknown id"],
)
def test_what_no_secret_stands_behind_tells_nothing(
    issued: Issued, stdin: Callable[[str], None], change: Callable[[str], str], outcome: Outcome
) -> None:
    stdin(change(issued.token))
    error, said = failing(exits.VERDICTS[outcome], "check")
    assert said.out == f"{outcome}\n"
    assert "kr_" not in error


def test_a_look_uses_up_nothing_of_a_rate(
    project: Project, stdin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key_id: str, rate: object) -> None:
        raise throttles.ThrottleUnavailable

    monkeypatch.setattr(throttles, "take", away)
    limited = IssuedFactory(project=project, rate="1/hour")
    stdin(limited.token)
    assert run("check").out.splitlines()[0] == "valid"


def test_a_key_of_another_project_is_unknown(
    project: Project, issued: Issued, stdin: Callable[[str], None]
) -> None:
    ProjectFactory(slug="other")
    stdin(issued.token)
    _, said = failing(exits.VERDICTS[Outcome.UNKNOWN], "check", "--project", "other")
    assert said.out == "unknown\n"


def test_any_environment_may_be_asked_for(project: Project, stdin: Callable[[str], None]) -> None:
    test = IssuedFactory(project=project, environment="test")
    for asked in ("any", "test"):
        stdin(test.token)
        assert run("check", "--environment", asked).out.startswith("valid\n")


def test_a_check_writes_nothing(project: Project, issued: Issued, stdin: Callable[[str], None]) -> None:
    before = everything()
    stdin(issued.token)
    run("check")
    assert everything() == before
    assert issued.key.activity.last_used_at == NEVER_USED


# What goes for all of them


@pytest.mark.parametrize(
    "asked",
    [
        ["list", "nope"], ["issue", "nope", "Name"], ["renew", "nope", "--automator"],
        ["revoke", "nope", "abcdefghijkl"], ["check", "--project", "nope"],
    ],
    ids=lambda asked: asked[0],
)  # fmt: skip
def test_a_project_that_is_not_there_or_was_deleted_is_said_to_be_missing(
    project: Project, at: datetime, asked: list[str]
) -> None:
    assert refused(exits.REFUSED, *asked) == "There is no project “nope”."
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    asked = [argument.replace("nope", "acme") for argument in asked]
    assert refused(exits.REFUSED, *asked) == "There is no project “acme”."


def test_a_key_that_is_not_there_is_said_to_be_missing(project: Project) -> None:
    elsewhere = IssuedFactory().key.key_id
    for verb in ("renew", "revoke"):
        assert refused(exits.REFUSED, verb, "acme", elsewhere) == (f"There is no key “{elsewhere}” in acme.")


@pytest.mark.parametrize(
    "asked",
    [
        ["TOKEN"], ["check", "TOKEN"], ["check", "--scope", "TOKEN"], ["check", "--project=TOKEN"],
        ["list", "acme", "--q", "TOKEN"], ["list", "acme", "--q=TOKEN"], ["list", "TOKEN"],
        ["list", "acme", "--limit", "TOKEN"], ["list", "acme", "--type", "TOKEN"],
        ["list", "acme", "--TOKEN"],
        ["issue", "TOKEN", "A"], ["issue", "acme", "TOKEN", "--type", "admin"],
        ["issue", "acme", "A", "--expires-on", "TOKEN"], ["issue", "acme", "A", "--idempotency-key", "TOKEN"],
        ["renew", "acme", "TOKEN"], ["revoke", "acme", "TOKEN"], ["revoke", "acme", "a", "TOKEN"],
        ["-v", "TOKEN", "check"], ["check", "too", "many", "TOKEN"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("cut", [slice(None), slice(0, 21), slice(8, None), slice(20, 58)], ids=str)
def test_a_token_in_an_argument_is_refused_and_not_repeated(
    project: Project, issued: Issued, asked: list[str], cut: slice,
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    canary = issued.token[cut]
    error = refused(exits.MISUSED, *(argument.replace("TOKEN", canary) for argument in asked))
    assert "It stands in the shell's history now" in error
    for text in (error, *capsys.readouterr(), caplog.text, repr(everything())):
        assert canary not in text


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (["issue", "acme", "TOKEN", "--type", "viewer"], "name"),
        (["issue", "acme", "A", "--type", "viewer", "--note", "see TOKEN"], "note"),
        (["issue", "acme", "A", "--scope", "TOKEN"], "scopes"),
        (["revoke", "acme", "abcdefghijkl", "--reason", "TOKEN"], "reason"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_token_in_what_a_verb_takes_is_the_verb_s_to_refuse(
    project: Project, issued: Issued, asked: list[str], field: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = refused(exits.REFUSED, *(argument.replace("TOKEN", issued.token) for argument in asked))
    assert error.startswith(f"{field}: ")
    assert issued.token not in error + caplog.text


@pytest.mark.parametrize(
    "asked",
    [
        [], ["rotate"], ["list"], ["list", "acme", "--limit", "0"], ["list", "acme", "--limit", "-1"],
        ["list", "acme", "--limit", "²"], ["list", "acme", "--limit", "2", "--all"],
        ["list", "acme", "--status", "fine"], ["list", "acme", "--js"],
        ["issue", "acme"], ["issue", "acme", "A", "--type", "system"],
        ["issue", "acme", "A", "--expires-in", "1d"], ["issue", "acme", "A", "--expires-on", "18.2.2027"],
        ["issue", "acme", "A", "--expires-on", "2027-02-30"],
        ["issue", "acme", "A", "--never", "--expires-on", "2027-02-18"],
        ["issue", "acme", "A", "--idempotency-key", " "], ["issue", "acme", "A", "--idempotency-key", ""],
        ["renew", "acme"], ["renew", "acme", "abcdefghijkl", "--automator"], ["revoke", "acme"],
        ["check", "--scope", "everything"], ["check", "--environment", "both"],
        ["list", "\udcff"], ["issue", "acme", "A", "--idempotency-key", "\udcff"],
    ],
    ids=ascii,
)  # fmt: skip
def test_arguments_that_can_t_be_understood_are_one_line(project: Project, asked: list[str]) -> None:
    error = refused(exits.MISUSED, *asked)
    assert error.startswith("Error: ")
    assert "\n" not in error


def test_who_may_not_is_told_so(project: Project, issued: Issued, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbid(*_: Any, **__: Any) -> None:
        raise PermissionDenied("Ask an admin to do that.")

    for verb in ("issue", "renew", "revoke"):
        monkeypatch.setattr(lifecycle, verb, forbid)
    for asked in (
        ["issue", "acme", "A"], ["renew", "acme", "--automator"], ["revoke", "acme", issued.key.key_id],
    ):  # fmt: skip
        assert refused(exits.NOT_PERMITTED, *asked) == "Ask an admin to do that."


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_one_line(
    project: Project, stdin: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise kind("could not connect to server\n\tIs the server running?")

    stdin(tokens.generate("live").text)
    monkeypatch.setattr(command, "check", away)
    monkeypatch.setattr(command, "_project", away)
    for asked in (["list", "acme"], ["issue", "acme", "A"], ["revoke", "acme", "a"], ["check"]):
        assert refused(exits.NO_DATABASE, *asked) == (
            "The database can't be used: could not connect to server"
        )


def test_each_outcome_has_an_exit_code_of_its_own() -> None:
    assert set(exits.VERDICTS) == set(Outcome)
    codes = [code for outcome, code in exits.VERDICTS.items() if outcome is not Outcome.VALID]
    assert len(set(codes)) == len(codes)
    assert all(10 <= code < 126 for code in codes)
    assert set(exits.VERDICTS.values()) <= set(exits.MEANINGS)


@pytest.mark.parametrize("asked", [["--help"], ["check", "--help"], ["issue", "--help"]], ids=" ".join)
def test_the_help_says_what_each_exit_code_means(
    asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call_command("keys", *asked)
    text = capsys.readouterr().out
    for code, meaning in exits.MEANINGS.items():
        assert re.search(rf"^ +{code}  {re.escape(meaning)}$", text, re.MULTILINE)
