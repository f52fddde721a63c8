from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys import lifecycle, tokens
from keys.conflicts import AlreadyIssued
from keys.drafts import Draft
from keys.kinds import NEVER_EXPIRES, Environment, KeyType, Status
from keys.models import IssueNonce, Key
from keys.verification import check
from projects.audit import Actor
from projects.models import Project, Role, User
from tests.db.watching import events, everything, verbs, writes_of
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db

NONCE = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


def refusal(project: Project, actor: Actor, at: datetime, **draft: Any) -> dict[str, list[str]]:
    """Issue a key that must be refused; return what is said, by field."""
    before = everything()
    with pytest.raises(ValidationError) as caught:
        lifecycle.issue(
            project,
            Draft(**{"name": "Docs crawler", "scopes": ["sources:read"], **draft}),
            actor=actor,
            at=at,
            nonce=NONCE,
        )
    assert everything() == before
    return dict(caught.value.message_dict)


def test_it_returns_the_key_and_a_token_that_passes(
    project: Project, actor: Actor, operator: User, at: datetime
) -> None:
    draft = Draft(
        " Docs  crawler ",
        scopes=["sources:write", "sources:read"],
        expires_at=at + timedelta(days=90),
        note="Reads\r\nthe docs.",
    )
    key, token = lifecycle.issue(project, draft, actor=actor, at=at).key, None
    key = Key.objects.of(project).get(pk=key.pk)
    assert (key.name, key.name_folded, key.note) == (
        "Docs crawler", "docs crawler", "Reads\nthe docs.",
    )  # fmt: skip
    assert (key.type, key.environment, key.scopes) == (
        KeyType.RESTRICTED, Environment.LIVE, "sources:read sources:write",
    )  # fmt: skip
    assert (key.created_at, key.expires_at) == (at, at + timedelta(days=90))
    assert (key.created_by, key.created_by_label) == (operator, "Otis Brandt")
    assert (key.version, key.sealed, key.revoked_at, token) == (1, None, None, None)
    assert key.status(at) is Status.UNCONFIRMED


def test_its_token_is_the_key_s_own(project: Project, actor: Actor, at: datetime) -> None:
    issued = IssuedFactory(project=project, actor=actor, at=at)
    token = tokens.parse(issued.token)
    assert token is not None
    assert (token.key_id, token.last4) == (issued.key.key_id, issued.key.last4)
    assert check(issued.token, at=at, project="acme", scopes=["sources:read"]).is_valid


@pytest.mark.parametrize("environment", Environment.values)
def test_its_token_says_its_environment(project: Project, actor: Actor, environment: str) -> None:
    issued = IssuedFactory(project=project, actor=actor, environment=environment)
    assert issued.token.startswith(f"kr_{environment}_")


def test_the_secret_stands_nowhere_in_the_database(project: Project, actor: Actor) -> None:
    issued = IssuedFactory(project=project, actor=actor, nonce=NONCE)
    token = tokens.parse(issued.token)
    assert token is not None
    rows = repr(everything())
    assert token.key_id in rows
    assert token.secret not in rows
    assert token.secret[:12] not in rows
    assert issued.token not in repr(issued)
    assert NONCE not in rows


def test_its_event_says_who_made_what(project: Project, actor: Actor, at: datetime) -> None:
    end = at + timedelta(days=30)
    key = IssuedFactory(project=project, actor=actor, at=at, name="Docs crawler", expires_at=end).key
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label) == (
        "key.issued", "key", key.key_id, "Docs crawler",
    )  # fmt: skip
    assert (event.actor_kind, event.actor_id, event.actor_label, event.address, event.at) == (
        "person", actor.id, "Otis Brandt", "192.0.2.41", at,
    )  # fmt: skip
    assert event.changes == {
        "type": "restricted",
        "environment": "live",
        "scopes": ["sources:read"],
        "expires_at": end.isoformat(),
    }


def test_a_key_that_never_expires_says_so_in_its_event(project: Project, actor: Actor) -> None:
    key = IssuedFactory(project=project, actor=actor).key
    assert key.expires_at == NEVER_EXPIRES
    assert events(project)[-1].changes["expires_at"] is None


def test_it_is_whole_or_not_there_whichever_write_fails(project: Project, actor: Actor, at: datetime) -> None:
    draft = Draft("Docs crawler", scopes=["sources:read"])
    # Key, activity, nonce, event, head.
    assert writes_of(lambda: lifecycle.issue(project, draft, actor=actor, at=at, nonce=NONCE)) == 5


def test_a_caller_that_gets_the_token_as_data_needs_no_confirmation(
    project: Project, actor: Actor, at: datetime
) -> None:
    key = IssuedFactory(project=project, actor=actor, at=at, confirmed=True).key
    assert key.confirmed_at == at
    assert key.status(at) is Status.ACTIVE


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"name": ""}, {"name": ["Enter a name."]}),
        ({"name": "Docs " * 21}, {"name": ["Use 100 characters or fewer."]}),
        (
            {"name": "Docs\u202ecrawler"},
            {"name": ["Use letters, digits, blanks and punctuation that can be seen."]},
        ),
        ({"type": "system"}, {"type": ["Choose a type of key."]}),
        ({"type": "robot"}, {"type": ["Choose a type of key."]}),
        ({"type": ""}, {"type": ["Choose a type of key."]}),
        ({"environment": "prod"}, {"environment": ["Choose Live or Test."]}),
        ({"environment": ""}, {"environment": ["Choose Live or Test."]}),
        ({"scopes": []}, {"scopes": ["Pick at least one scope."]}),
        (
            {"scopes": ["sources:read", "sources:run"]},
            {"scopes": ["This project has no scope called “sources:run”."]},
        ),
        ({"scopes": ["*"]}, {"scopes": ["This project has no scope called “*”."]}),
        (
            {"type": "viewer"},
            {"scopes": ["Only a restricted key or an agent key has scopes of its own."]},
        ),
        ({"note": "x " * 501}, {"note": ["Use 1,000 characters or fewer."]}),
        (
            {"note": "\u200b"},
            {"note": ["Use letters, digits, blanks and punctuation that can be seen."]},
        ),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused_by_field(
    project: Project, actor: Actor, at: datetime, draft: dict[str, Any], said: dict[str, list[str]]
) -> None:
    assert refusal(project, actor, at, **draft) == said


@pytest.mark.parametrize("field", ["name", "note"])
def test_a_token_in_a_text_is_refused_and_not_repeated(
    project: Project, actor: Actor, at: datetime, field: str
) -> None:
    token = tokens.generate("live").text
    said = refusal(project, actor, at, **{field: f"old {token}"})
    assert list(said) == [field]
    assert token[8:] not in repr(said)


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(microseconds=1), timedelta(days=400)])
def test_an_end_that_is_not_ahead_is_refused(
    project: Project, actor: Actor, at: datetime, ago: timedelta
) -> None:
    said = refusal(project, actor, at, expires_at=at - ago)
    assert said == {"expires_at": ["Choose a date after today."]}


@pytest.mark.parametrize("name", ["Docs crawler", "DOCS CRAWLER", " docs  crawler", "Ｄocs crawler"])
def test_a_name_that_another_key_has_is_refused(
    project: Project, actor: Actor, at: datetime, name: str
) -> None:
    IssuedFactory(project=project, name="Docs crawler")
    said = refusal(project, actor, at, name=name)
    assert said == {"name": ["Another key is called “Docs crawler”."]}


def test_the_automator_key_s_name_is_taken(project: Project, actor: Actor, at: datetime) -> None:
    said = refusal(project, actor, at, name="automator key")
    assert said == {"name": ["Another key is called “Automator Key”."]}


def test_a_name_is_free_again_once_its_key_is_revoked_and_not_when_it_has_expired(
    project: Project, actor: Actor, at: datetime
) -> None:
    soon = at + timedelta(seconds=1)
    key = IssuedFactory(project=project, actor=actor, name="Docs", at=at, expires_at=soon).key
    assert "name" in refusal(project, actor, at + timedelta(days=1), name="Docs")
    lifecycle.revoke(project, key.key_id, actor=actor, at=at + timedelta(days=1))
    assert IssuedFactory(project=project, actor=actor, name="Docs").key.pk != key.pk


def test_a_name_in_another_project_takes_nothing(actor: Actor, project: Project) -> None:
    IssuedFactory(name="Docs crawler")
    assert IssuedFactory(project=project, actor=actor, name="Docs crawler").key.project == project


def test_a_scope_of_another_project_s_catalogue_is_unknown(
    project: Project, actor: Actor, at: datetime, outsider: User
) -> None:
    elsewhere = Project.objects.get(slug="elsewhere")
    elsewhere.resources.create(name="invoices", label="Invoices", actions=["pay"])
    assert "scopes" in refusal(project, actor, at, scopes=["invoices:pay"])


def test_a_second_time_with_the_same_nonce_makes_no_second_key(
    project: Project, actor: Actor, at: datetime
) -> None:
    draft = Draft("Docs crawler", scopes=["sources:read"])
    first = lifecycle.issue(project, draft, actor=actor, at=at, nonce=NONCE)
    before = everything()
    for later in (draft, Draft("Another", scopes=["chat:read"])):
        with pytest.raises(AlreadyIssued, match="already created") as caught:
            lifecycle.issue(project, later, actor=actor, at=at + timedelta(days=9), nonce=NONCE)
        assert caught.value.key == first.key
        assert first.token not in repr(caught.value)
    assert everything() == before


def test_a_nonce_stays_spent_after_its_key_was_revoked(project: Project, actor: Actor, at: datetime) -> None:
    draft = Draft("Docs crawler", scopes=["sources:read"])
    key = lifecycle.issue(project, draft, actor=actor, at=at, nonce=NONCE).key
    lifecycle.revoke(project, key.key_id, actor=actor, at=at)
    with pytest.raises(AlreadyIssued):
        lifecycle.issue(project, draft, actor=actor, at=at, nonce=NONCE)


def test_a_nonce_whose_request_was_refused_is_not_spent(project: Project, actor: Actor, at: datetime) -> None:
    refusal(project, actor, at, scopes=[])
    draft = Draft("Docs crawler", scopes=["sources:read"])
    assert lifecycle.issue(project, draft, actor=actor, at=at, nonce=NONCE).token


def test_a_nonce_is_its_actor_s_and_its_project_s_own(
    project: Project, actor: Actor, owner: User, outsider: User, at: datetime
) -> None:
    elsewhere = Project.objects.get(slug="elsewhere")
    for where, who in (
        (project, actor),
        (project, acting(owner, project)),
        (project, Actor("key", actor.id, "A key", Role.OWNER)),
        (project, Actor.system()),
        (elsewhere, acting(outsider, elsewhere)),
    ):
        IssuedFactory(project=where, actor=who, nonce=NONCE)
    assert IssueNonce.objects.count() == 5


def test_without_a_nonce_nothing_is_remembered(project: Project, actor: Actor) -> None:
    IssuedFactory(project=project, actor=actor)
    IssuedFactory(project=project, actor=actor)
    assert not IssueNonce.objects.exists()
    assert verbs(project).count("key.issued") == 3
