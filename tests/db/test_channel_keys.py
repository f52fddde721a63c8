"""The keys of a channel: who holds one, and where one is good."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys import lifecycle, tokens
from keys.channels import close_channel
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Channel, Project, User
from tests.db.watching import events, everything
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

TEAMS, WEBSITE = "teams-bot", "website"


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project)


@pytest.fixture
def teams(project: Project) -> Channel:
    return ChannelFactory(project=project, slug=TEAMS, name="Teams bot")


@pytest.fixture
def website(project: Project) -> Channel:
    return ChannelFactory(project=project, slug=WEBSITE, name="Website")


@pytest.fixture
def held(project: Project, teams: Channel, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, type=KeyType.CHANNEL, channel=TEAMS, holder="Nora Ek")


def refusal(project: Project, actor: Actor, at: datetime, **draft: Any) -> dict[str, list[str]]:
    before = everything()
    fields: dict[str, Any] = {"name": "For Ben", "type": KeyType.CHANNEL, "channel": TEAMS, "holder": "Ben"}
    with pytest.raises(ValidationError) as caught:
        lifecycle.issue(project, Draft(**{**fields, **draft}), actor=actor, at=at)
    assert everything() == before
    return dict(caught.value.message_dict)


# Issuing


def test_it_is_issued_with_its_channel_and_holder(
    project: Project, actor: Actor, teams: Channel, at: datetime
) -> None:
    draft = Draft("For Nora", KeyType.CHANNEL, channel=TEAMS, holder=" Nora  Ek ")
    key = Key.objects.get(pk=lifecycle.issue(project, draft, actor=actor, at=at).key.pk)
    assert (key.channel, key.holder, key.holder_folded, key.scopes) == (teams, "Nora Ek", "nora ek", "")
    changes = events(project)[-1].changes
    assert (changes["type"], changes["channel"], changes["holder"]) == ("channel", TEAMS, "Nora Ek")


@pytest.mark.parametrize("holder", ["Nora Ek", "NORA ek", " nora  EK ", "Ｎora Ek"])
def test_a_holder_has_one_key_of_a_channel(
    project: Project, actor: Actor, held: Issued, at: datetime, holder: str
) -> None:
    said = refusal(project, actor, at, holder=holder)
    assert said == {"holder": [f"Nora Ek holds a key of Teams bot already: “{held.key.name}”."]}


def test_a_holder_has_keys_of_other_channels_and_a_new_one_once_the_old_is_revoked(
    project: Project, actor: Actor, held: Issued, website: Channel, at: datetime
) -> None:
    IssuedFactory(project=project, at=at, type=KeyType.CHANNEL, channel=WEBSITE, holder="Nora Ek")
    later = at + timedelta(days=400)
    lifecycle.revoke(project, held.key.key_id, actor=actor, at=later)
    IssuedFactory(project=project, at=later, type=KeyType.CHANNEL, channel=TEAMS, holder="nora ek")


def test_an_expired_key_keeps_its_holder(
    project: Project, actor: Actor, teams: Channel, at: datetime
) -> None:
    ended = at - timedelta(days=1)
    IssuedFactory(
        project=project, at=at - timedelta(days=9), expires_at=ended, type=KeyType.CHANNEL, channel=TEAMS,
        holder="Ben",
    )  # fmt: skip
    assert "holder" in refusal(project, actor, at)


UNSEEN = "Use letters, digits, blanks and punctuation that can be seen."


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"holder": ""}, {"holder": ["Enter who holds the key."]}),
        ({"holder": "  "}, {"holder": ["Enter who holds the key."]}),
        ({"holder": "x" * 101}, {"holder": ["Use 100 characters or fewer."]}),
        ({"holder": "Nora\u200bEk"}, {"holder": [UNSEEN]}),
        ({"holder": "Nora\0Ek"}, {"holder": [UNSEEN]}),
        ({"holder": "\u2800"}, {"holder": [UNSEEN]}),
        ({"channel": ""}, {"channel": ["Choose a channel."]}),
        ({"channel": "nothing"}, {"channel": ["There is no such channel here."]}),
        ({"channel": "x" * 10_000}, {"channel": ["There is no such channel here."]}),
        ({"channel": "elsewhere"}, {"channel": ["There is no such channel here."]}),
        ({"channel": "closed"}, {"channel": ["There is no such channel here."]}),
        (
            {"name": "", "holder": "", "channel": ""},
            {
                "name": ["Enter a name."],
                "channel": ["Choose a channel."],
                "holder": ["Enter who holds the key."],
            },
        ),
        (
            {"scopes": ["sources:read"]},
            {"scopes": ["Only a restricted key or an agent key has scopes of its own."]},
        ),
        (
            {"type": KeyType.VIEWER},
            {"channel": ["Only a channel key has a channel, and somebody who holds it."]},
        ),
    ],
)
def test_a_draft_that_breaks_a_rule_is_refused_by_field(
    project: Project, actor: Actor, teams: Channel, at: datetime, draft: dict[str, Any],
    said: dict[str, list[str]],
) -> None:  # fmt: skip
    ChannelFactory(slug="elsewhere")
    ChannelFactory(project=project, slug="closed", closed_at=at)
    assert refusal(project, actor, at, **draft) == said


def test_a_token_for_a_holder_is_refused_and_not_repeated(
    project: Project, actor: Actor, teams: Channel, at: datetime
) -> None:
    token = tokens.generate("live").text
    said = refusal(project, actor, at, holder=f"Nora {token}")
    assert list(said) == ["holder"]
    assert token[8:] not in repr(said)


# Where it is good


ASKED = [TEAMS, WEBSITE, "closed", "nothing", "", None]


@pytest.mark.parametrize("asked", ASKED)
def test_it_is_good_in_its_own_channel_and_nowhere_else(
    project: Project, held: Issued, website: Channel, at: datetime, asked: str | None
) -> None:
    ChannelFactory(project=project, slug="closed", closed_at=at)
    verdict = check(held.token, at=at, channel=asked)
    assert verdict.outcome is (Outcome.VALID if asked in (TEAMS, None) else Outcome.WRONG_CHANNEL)
    assert verdict.facts is not None
    assert verdict.facts.channel == TEAMS


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize("key_type", [KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.RESTRICTED, KeyType.AGENT])
def test_a_key_of_no_channel_is_good_in_any(
    project: Project, teams: Channel, at: datetime, key_type: str, asked: str | None
) -> None:
    issued = IssuedFactory(project=project, at=at, type=key_type)
    verdict = check(issued.token, at=at, channel=asked)
    assert verdict.is_valid
    assert verdict.facts is not None
    assert verdict.facts.channel is None


def test_a_channel_of_the_same_slug_in_another_project_is_another_one(held: Issued, at: datetime) -> None:
    other = ProjectFactory(slug="other")
    ChannelFactory(project=other, slug=TEAMS)
    assert check(held.token, at=at, project="acme", channel=TEAMS).is_valid
    assert check(held.token, at=at, project="other", channel=TEAMS).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("scope", "outcome"),
    [
        ("sources:read", Outcome.VALID),
        ("chat:read", Outcome.VALID),
        ("chat:send", Outcome.VALID),
        ("sources:write", Outcome.SCOPE_MISSING),
        ("keys:read", Outcome.SCOPE_MISSING),
        ("settings:read", Outcome.SCOPE_MISSING),
        ("gateway:use", Outcome.SCOPE_MISSING),
    ],
)
def test_there_it_reads_and_chats(held: Issued, at: datetime, scope: str, outcome: Outcome) -> None:
    assert check(held.token, at=at, channel=TEAMS, scopes=[scope]).outcome is outcome
    # Which channel comes before what for: elsewhere it isn't said what it may do.
    assert check(held.token, at=at, scopes=[scope]).outcome is Outcome.WRONG_CHANNEL


@pytest.mark.parametrize(
    ("columns", "asked", "outcome"),
    [
        ({"paused_at": "at"}, {}, Outcome.PAUSED),
        ({"revoked_at": "at"}, {}, Outcome.REVOKED),
        ({}, {"environment": "test"}, Outcome.WRONG_ENVIRONMENT),
    ],
)
def test_what_is_wrong_with_the_key_itself_is_said_first(
    held: Issued, at: datetime, columns: dict[str, str], asked: dict[str, Any], outcome: Outcome
) -> None:
    Key.objects.filter(pk=held.key.pk).update(**dict.fromkeys(columns, at))
    assert check(held.token, at=at, channel=WEBSITE, **asked).outcome is outcome


def test_an_expired_one_says_so_before_its_channel(held: Issued, teams: Channel, at: datetime) -> None:
    Key.objects.filter(pk=held.key.pk).update(expires_at=at + timedelta(seconds=1))
    assert check(held.token, at=at + timedelta(days=1), channel=WEBSITE).outcome is Outcome.EXPIRED


def test_after_its_channel_was_renamed_it_is_good_there_still(
    project: Project, held: Issued, teams: Channel, at: datetime
) -> None:
    from keys.channels import edit_channel

    edit_channel(project, TEAMS, name="Desk", kind="slack", actor=Actor.system(), at=at, version=1)
    assert check(held.token, at=at, channel=TEAMS).is_valid


def test_after_its_channel_was_closed_it_is_revoked_everywhere(
    project: Project, held: Issued, at: datetime
) -> None:
    close_channel(project, TEAMS, actor=Actor.system(), at=at)
    for asked in ASKED:
        assert check(held.token, at=at, channel=asked).outcome is Outcome.REVOKED
