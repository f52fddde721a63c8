"""`manage.py keys rotate | pause | resume`: what happens to a key between its issue and its end."""

from datetime import timedelta

import pytest
from django.utils import timezone

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
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def issued(project: Project) -> Issued:
    return IssuedFactory(project=project, name="Docs crawler", confirmed=True)


def test_rotate_writes_the_new_token_alone_to_standard_output(project: Project, issued: Issued) -> None:
    said = run("rotate", "acme", issued.key.key_id, "--grace", "1h")
    assert check(said.out.strip(), at=timezone.now()).is_valid
    assert f"takes the place of {issued.key.key_id}, which works until " in said.err
    assert check(issued.token, at=timezone.now()).is_valid
    assert check(issued.token, at=timezone.now() + timedelta(hours=1)).outcome is Outcome.REVOKED
    assert events(project)[-2].verb == "key.rotated"


def test_rotate_without_a_grace_says_that_the_old_key_has_stopped(project: Project, issued: Issued) -> None:
    said = run("rotate", "acme", issued.key.key_id, "--grace", "now")
    assert "which has stopped" in said.err
    assert check(issued.token, at=timezone.now()).outcome is Outcome.REVOKED


def test_rotate_gives_json(project: Project, issued: Issued) -> None:
    row = run("rotate", "acme", issued.key.key_id, "--json").row
    assert (row["name"], row["status"]) == ("Docs crawler", "active")
    assert check(row["token"], at=timezone.now()).is_valid


def test_rotating_twice_is_a_conflict_that_names_the_successor(project: Project, issued: Issued) -> None:
    run("rotate", "acme", issued.key.key_id)
    successor = Key.objects.get(predecessor=issued.key)
    error = refused(exits.CONFLICT, "rotate", "acme", issued.key.key_id)
    assert successor.key_id in error


@pytest.mark.parametrize("verb", ["rotate", "pause"])
def test_the_automator_key_is_refused(project: Project, verb: str) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    assert "Renew it" in refused(exits.CONFLICT, verb, "acme", automator.key_id)


def test_pause_and_resume_say_what_is_so_and_twice_is_as_once(project: Project, issued: Issued) -> None:
    key_id = issued.key.key_id
    for _ in range(2):
        assert run("pause", "acme", key_id).out == f"Docs crawler ({key_id}) is paused.\n"
        assert check(issued.token, at=timezone.now()).outcome is Outcome.PAUSED
    for _ in range(2):
        assert run("resume", "acme", key_id).out == f"Docs crawler ({key_id}) isn't paused.\n"
        assert check(issued.token, at=timezone.now()).is_valid
    assert run("pause", "acme", key_id, "--json").row["status"] == "paused"


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_revoked_key_is_a_conflict(project: Project, issued: Issued, verb: str) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system("Otis"), at=timezone.now())
    assert "Otis already revoked this key." in refused(exits.CONFLICT, verb, "acme", issued.key.key_id)


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_key_that_is_not_there_is_said(project: Project, verb: str) -> None:
    assert "There is no key “abc” in acme." in refused(exits.REFUSED, verb, "acme", "abc")
    assert "There is no project “nope”." in refused(exits.REFUSED, verb, "nope", "abc")


@pytest.mark.parametrize(
    "arguments", [["rotate", "acme"], ["rotate", "acme", "x", "--grace", "2h"], ["pause", "acme"], ["resume"]]
)
def test_what_it_cannot_understand_is_misuse(project: Project, arguments: list[str]) -> None:
    failing(exits.MISUSED, *arguments)


@pytest.mark.parametrize("verb", ["rotate", "pause", "resume"])
def test_a_token_in_an_argument_is_never_repeated(project: Project, issued: Issued, verb: str) -> None:
    error = refused(exits.MISUSED, verb, "acme", issued.token)
    assert issued.token not in error
    assert "looks like a key" in error


# edit


def test_edit_changes_what_is_said_and_nothing_else(project: Project, issued: Issued) -> None:
    said = run(
        "edit", "acme", issued.key.key_id, "--name", "Wiki crawler", "--scope", "chat:read", "--network",
        "10.0.0.0/8", "--network", "192.0.2.7", "--rate", "100/hour",
    )  # fmt: skip
    assert said.out == f"Wiki crawler ({issued.key.key_id}) was saved.\n"
    key = Key.objects.get(pk=issued.key.pk)
    assert (key.name, key.scopes, key.networks, key.rate) == (
        "Wiki crawler", "chat:read", "10.0.0.0/8 192.0.2.7/32", "100/hour",
    )  # fmt: skip
    assert (key.expires_at, key.note, key.version) == (issued.key.expires_at, "", 2)
    row = run("edit", "acme", key.key_id, "--any-network", "--no-rate", "--expires-in", "30d", "--json").row
    assert (row["networks"], row["rate"], row["version"]) == ([], None, 3)
    assert row["expires_at"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], exits.MISUSED, "Say what to change"),
        (["--network", "10.0.0.0/33"], exits.REFUSED, "networks: “10.0.0.0/33” is not a network."),
        (["--rate", "many"], exits.REFUSED, "rate: Use a number up to 1,000,000"),
        (["--expires-on", "2020-01-01"], exits.REFUSED, "expires_at: Choose a date after today."),
        (["--name", ""], exits.REFUSED, "name: Enter a name."),
        (["--name", "New", "--version", "7"], exits.CONFLICT, "This key was changed meanwhile."),
        (["--network", "10.0.0.0/8", "--any-network"], exits.MISUSED, "not allowed with"),
    ],
    ids=str,
)
def test_edit_refuses_and_changes_nothing(
    project: Project, issued: Issued, arguments: list[str], code: int, said: str
) -> None:
    assert said in refused(code, "edit", "acme", issued.key.key_id, *arguments)


def test_issue_takes_limits(project: Project) -> None:
    limits = ("--network", "192.0.2.0/24", "--rate", "5/second")
    row = run("issue", "acme", "Limited", "--scope", "sources:read", *limits, "--json").row
    assert (row["networks"], row["rate"]) == (["192.0.2.0/24"], "5/second")
