"""`manage.py keys` with agent keys and channel keys."""

import io
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.test import Client

from keys import lifecycle
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.management.commands._keys import exits
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project
from tests.db.test_keys_command import failing, refused, run
from tests.db.watching import events
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
DEFAULT = ["agents:run", "chat:send", "providers:use"]
HELD = ("--type", "channel", "--channel", "support", "--holder", "Ward 3")
ENDS = "An agent key ends 90 days after it's created, and can't be extended."


@pytest.fixture(autouse=True)
def _channels(project: Project) -> None:
    ChannelFactory(project=project, slug="support", name="Support bot")
    ChannelFactory(project=project, slug="sales", name="Sales bot")


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


@pytest.fixture
def held(project: Project, at: datetime) -> Issued:
    given = {"type": KeyType.CHANNEL, "channel": "support", "holder": "Ward 3"}
    return IssuedFactory(project=project, at=at, name="Teams", **given)


# issue


def test_an_agent_key_needs_a_name_only(project: Project, at: datetime) -> None:
    said = run("issue", "acme", "Release agent", "--type", "agent")
    key = Key.objects.get(name="Release agent")
    assert (key.type, key.scopes.split()) == ("agent", DEFAULT)
    assert key.expires_at - key.created_at == 90 * DAY
    assert check(said.out.strip(), at=at, scopes=DEFAULT).is_valid
    day = f"{key.expires_at.day} {key.expires_at:%b %Y}"
    assert f"It expires {day}, " in said.err
    assert events(project)[-1].changes["type"] == "agent"


def test_an_agent_key_has_the_scopes_that_are_picked(project: Project) -> None:
    asked = ("--scope", "sources:read", "--scope", "agents:run", "--environment", "test")
    row = run("issue", "acme", "Reader", "--type", "agent", *asked, "--json").row
    assert (row["type"], row["scopes"]) == ("agent", ["agents:run", "sources:read"])
    assert (row["environment"], row["channel"], row["holder"]) == ("test", None, None)


@pytest.mark.parametrize(
    "end",
    [["--never"], ["--expires-in", "30d"], ["--expires-in", "90d"], ["--expires-on", "2099-01-01"]],
    ids=" ".join,
)
def test_an_end_for_an_agent_key_is_a_misuse(project: Project, end: list[str]) -> None:
    error = refused(exits.MISUSED, "issue", "acme", "Release agent", "--type", "agent", *end)
    assert error == f"{ENDS} Leave --expires-in, --expires-on and --never out."


def test_other_types_end_as_before(project: Project, at: datetime) -> None:
    run("issue", "acme", "Docs crawler", "--scope", "sources:read")
    run("issue", "acme", "Sync", "--type", "viewer", "--expires-in", "30d")
    for name, days in (("Docs crawler", 90), ("Sync", 30)):
        lasts = Key.objects.get(name=name).expires_at - at
        assert abs(lasts - days * DAY) < timedelta(minutes=1)


def test_a_channel_key_has_a_channel_and_a_holder(project: Project, at: datetime) -> None:
    said = run("issue", "acme", "Teams, ward 3", *HELD)
    key = Key.objects.get(name="Teams, ward 3")
    assert (key.type, key.channel.slug if key.channel else "", key.holder) == ("channel", "support", "Ward 3")
    assert check(said.out.strip(), at=at, channel="support").is_valid
    row = run("issue", "acme", "Teams, ward 4", *HELD[:-1], "Ward 4", "--never", "--json").row
    assert (row["channel"], row["holder"], row["expires_at"]) == ("support", "Ward 4", None)


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        (("--type", "channel"), "channel: Choose a channel.\nholder: Enter who holds the key."),
        ((*HELD[:3], "nowhere", *HELD[4:]), "channel: There is no such channel here."),
        ((*HELD[:-1], " "), "holder: Enter who holds the key."),
        ((*HELD[:-1], "ward  3"), "holder: Ward 3 holds a key of Support bot already: “Teams”."),
        ((*HELD[:-1], "Ward 4", "--scope", "chat:send"),
         "scopes: Only a restricted key or an agent key has scopes of its own."),
        (("--type", "viewer", "--channel", "support"),
         "channel: Only a channel key has a channel, and somebody who holds it."),
        (("--type", "agent", "--holder", "Ward 3"),
         "channel: Only a channel key has a channel, and somebody who holds it."),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("held")
def test_what_the_verb_refuses_is_said_by_member(
    project: Project, asked: tuple[str, ...], error: str
) -> None:
    assert refused(exits.REFUSED, "issue", "acme", "Another", *asked) == error


def test_a_token_as_channel_or_holder_is_not_repeated(project: Project, held: Issued) -> None:
    token = held.token
    for asked in (
        ("issue", "acme", "X", "--type", "channel", "--channel", token, "--holder", "A"),
        ("list", "acme", "--channel", token),
        ("check", "--channel", token),
    ):
        error = refused(exits.MISUSED, *asked)
        assert "an argument looks like a key" in error
        assert token[20:39] not in error
    error = refused(exits.REFUSED, "issue", "acme", "X", *HELD[:-1], token)
    assert error.startswith("holder: That looks like an API key.")
    assert token[20:39] not in error


# list


def rows(*asked: str) -> list[list[str]]:
    return [re.split(r"  +", row) for row in run("list", "acme", *asked).out.splitlines()[1:]]


def test_rows_say_what_type_and_where(project: Project, held: Issued, at: datetime) -> None:
    IssuedFactory(project=project, at=at + DAY, name="Release agent", type=KeyType.AGENT)
    IssuedFactory(project=project, at=at + 2 * DAY, name="R", type=KeyType.AGENT, scopes=["agents:run"])
    assert [(row[0], row[3], row[4]) for row in rows()] == [
        ("R", "Agent", "agents:run"),
        ("Release agent", "Agent", "3 scopes"),
        ("Teams", "Channel", "Read, chat in support"),
        ("Automator Key", "System", "Everything"),
    ]


def test_it_lists_by_type_and_by_channel(project: Project, held: Issued) -> None:
    IssuedFactory(project=project, name="Release agent", type=KeyType.AGENT)
    given = {"type": KeyType.CHANNEL, "channel": "sales", "holder": "Ward 3"}
    IssuedFactory(project=project, name="Slack", **given)
    assert [row[0] for row in rows("--type", "agent")] == ["Release agent"]
    assert {row[0] for row in rows("--type", "channel")} == {"Teams", "Slack"}
    assert [row[0] for row in rows("--channel", "support")] == ["Teams"]
    assert run("list", "acme", "--channel", "sales", "--type", "agent").err == "No keys match.\n"
    [row] = run("list", "acme", "--channel", "sales", "--json").rows
    assert (row["name"], row["channel"], row["holder"]) == ("Slack", "sales", "Ward 3")


def test_it_lists_the_revoked_keys_of_a_closed_channel(project: Project, held: Issued, at: datetime) -> None:
    lifecycle.revoke(project, held.key.key_id, actor=Actor.system(), at=at)
    project.channels.filter(slug="support").update(closed_at=at)
    assert [row[0] for row in rows("--channel", "support", "--status", "revoked")] == ["Teams"]


def test_a_channel_that_is_not_of_the_project_is_said_to_be_missing(project: Project) -> None:
    ChannelFactory(project=ProjectFactory(), slug="theirs")
    error = refused(exits.REFUSED, "list", "acme", "--channel", "theirs")
    assert error == "There is no channel “theirs” in acme."


def test_an_unset_variable_is_no_channel(project: Project) -> None:
    for asked in (
        ("list", "acme", "--channel", ""),
        ("check", "--channel", " "),
        ("issue", "acme", "X", "--type", "viewer", "--channel", ""),
    ):
        assert "argument --channel: it is empty." in refused(exits.MISUSED, *asked)


# check


def test_a_channel_key_is_good_in_its_channel(
    project: Project, held: Issued, stdin: Callable[[str], None]
) -> None:
    stdin(held.token)
    said = run("check", "--project", "acme", "--channel", "support", "--scope", "chat:send")
    assert said.out.splitlines()[0] == "valid"
    assert "channel:     support" in said.out.splitlines()
    stdin(held.token)
    assert run("check", "--channel", "support").out.startswith("valid\n")


@pytest.mark.parametrize("asked", [[], ["--channel", "sales"], ["--project", "acme"]], ids=" ".join)
def test_elsewhere_it_has_an_exit_code_of_its_own(
    project: Project, held: Issued, stdin: Callable[[str], None], asked: list[str]
) -> None:
    stdin(held.token)
    error, said = failing(17, "check", *asked)
    assert error == "The key belongs to another channel."
    assert said.out.splitlines()[0] == Outcome.WRONG_CHANNEL
    assert f"key_id:      {held.key.key_id}" in said.out.splitlines()


def test_a_key_of_no_channel_is_good_in_any_and_says_nothing_of_it(
    project: Project, stdin: Callable[[str], None]
) -> None:
    stdin(IssuedFactory(project=project, type=KeyType.AGENT).token)
    said = run("check", "--project", "acme", "--channel", "support", "--scope", "agents:run")
    assert said.out.splitlines()[0] == "valid"
    assert "channel:" not in said.out


def test_a_channel_that_the_project_lacks_is_no_verdict_on_the_key(
    project: Project, held: Issued, stdin: Callable[[str], None]
) -> None:
    stdin(held.token)
    error = refused(exits.REFUSED, "check", "--project", "acme", "--channel", "nowhere")
    assert error == "There is no channel “nowhere” in acme."


def test_its_json_has_the_members_of_whoami(held: Issued, stdin: Callable[[str], None]) -> None:
    stdin(held.token)
    answer = Client().get("/api/v1/whoami", headers={"Authorization": f"Bearer {held.token}"})
    row = run("check", "--json", "--channel", "support").row
    assert row == {"verdict": "valid", **answer.json()}
    assert row["channel"] == "support"


def test_an_expired_agent_key_is_said_to_be_expired(
    project: Project, at: datetime, stdin: Callable[[str], None]
) -> None:
    stdin(IssuedFactory(project=project, type=KeyType.AGENT, at=at - 120 * DAY).token)
    error, said = failing(exits.VERDICTS[Outcome.EXPIRED], "check", "--json")
    assert error == "The key has expired."
    assert json.loads(said.out)["verdict"] == "expired"


# help


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        (
            "issue",
            [
                "agent",
                "channel",
                "--channel SLUG",
                "--holder NAME",
                "agents:run, chat:send and providers:use",
            ],
        ),
        ("list", ["agent", "--channel SLUG"]),
        ("check", ["--channel SLUG", "17  check: wrong channel"]),
    ],
)
def test_its_help_says_so(capsys: pytest.CaptureFixture[str], verb: str, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        run(verb, "--help")
    said = " ".join(capsys.readouterr().out.split())
    for word in words:
        assert " ".join(word.split()) in said
