"""Channel keys: one channel, one holder, and how far they reach."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.permissions import KeyActor, Reach
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project
from tests.db.watching import events, everything
from tests.factories import ChannelFactory, IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

HELD = {"type": KeyType.CHANNEL, "channel": "support", "holder": "Ward 3"}


@pytest.fixture(autouse=True)
def _channels(project: Project) -> None:
    ChannelFactory(project=project, slug="support", name="Support bot")
    ChannelFactory(project=project, slug="sales", name="Sales bot")


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, name="Teams", **HELD)


def refused(project: Project, at: datetime, **draft: Any) -> dict[str, list[str]]:
    before = everything()
    with pytest.raises(ValidationError) as caught:
        lifecycle.issue(project, Draft("Another", **draft), actor=Actor.system(), at=at)
    assert everything() == before
    said: dict[str, list[str]] = caught.value.message_dict
    return said


def test_its_event_names_channel_and_holder(project: Project, issued: Issued) -> None:
    changes = events(project)[-1].changes
    assert (changes["type"], changes["channel"], changes["holder"]) == ("channel", "support", "Ward 3")


def test_it_is_good_in_its_channel_only(issued: Issued, at: datetime) -> None:
    assert check(issued.token, at=at, channel="support", scopes=["chat:send", "sources:read"]).is_valid
    assert check(issued.token, at=at, channel=None).is_valid
    for channel in ("sales", "", "nowhere"):
        assert check(issued.token, at=at, channel=channel).outcome is Outcome.WRONG_CHANNEL
    missing = check(issued.token, at=at, channel="support", scopes=["sources:write"])
    assert missing.outcome is Outcome.SCOPE_MISSING


def test_a_channel_is_asked_of_channel_keys_alone(project: Project, at: datetime) -> None:
    for kind in (KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.AGENT):
        token = IssuedFactory(project=project, at=at, type=kind).token
        assert check(token, at=at, channel="support").is_valid


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ({"holder": "Ward 4"}, {"channel": ["Choose a channel."]}),
        ({"channel": "nowhere", "holder": "Ward 4"}, {"channel": ["There is no such channel here."]}),
        ({"channel": "support"}, {"holder": ["Enter who holds the key."]}),
        ({"channel": "support", "holder": " \u00a0"}, {"holder": ["Enter who holds the key."]}),
        (
            {"channel": "support", "holder": "ward  ３"},
            {"holder": ["Ward 3 holds a key of Support bot already: “Teams”."]},
        ),
        ({}, {"channel": ["Choose a channel."], "holder": ["Enter who holds the key."]}),
    ],
)
@pytest.mark.usefixtures("issued")
def test_it_needs_an_open_channel_and_a_holder_of_its_own(
    project: Project, at: datetime, draft: dict[str, str], said: dict[str, list[str]]
) -> None:
    assert refused(project, at, type=KeyType.CHANNEL, **draft) == said


def test_a_channel_of_another_project_or_a_closed_one_is_none(project: Project, at: datetime) -> None:
    ChannelFactory(project=ProjectFactory(), slug="theirs")
    ChannelFactory(project=project, slug="closed", closed_at=at)
    for slug in ("theirs", "closed"):
        said = refused(project, at, type=KeyType.CHANNEL, channel=slug, holder="Ward 4")
        assert said == {"channel": ["There is no such channel here."]}


@pytest.mark.parametrize("kind", [KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.AGENT])
@pytest.mark.parametrize("given", [{"channel": "support"}, {"holder": "Ward 4"}], ids=str)
def test_no_other_type_takes_them(
    project: Project, at: datetime, kind: KeyType, given: dict[str, str]
) -> None:
    said = refused(project, at, type=kind, **given)
    assert said == {"channel": ["Only a channel key has a channel, and somebody who holds it."]}


def test_who_held_a_revoked_key_may_hold_another(project: Project, issued: Issued, at: datetime) -> None:
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system(), at=at)
    again = IssuedFactory(project=project, at=at, name="Teams", **HELD)
    assert Key.objects.get(pk=again.key.pk).holder == "Ward 3"


def reach(key: Key) -> Reach:
    return Reach.of(Key.objects.select_related("channel").get(pk=key.pk))


def test_its_reach_is_its_channel(project: Project, issued: Issued, at: datetime) -> None:
    viewer = IssuedFactory(project=project, at=at, type=KeyType.VIEWER).key
    sales = IssuedFactory(project=project, at=at, **{**HELD, "channel": "sales"}).key
    boss = IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED).key
    held = reach(issued.key)
    assert held.lies_within(held)
    assert held.lies_within(reach(viewer))
    assert held.lies_within(reach(boss))
    assert not reach(viewer).lies_within(held)
    assert not reach(sales).lies_within(held)
    assert not held.lies_within(reach(sales))


def test_a_key_issues_one_where_it_reaches_as_far(project: Project, at: datetime) -> None:
    wide = IssuedFactory(project=project, at=at, type=KeyType.PRIVILEGED, expires_at=NEVER_EXPIRES).key
    narrow = IssuedFactory(project=project, at=at, scopes=["keys:write", "sources:read"]).key
    draft = Draft("Teams", expires_at=at + timedelta(days=1), **HELD)
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, draft, actor=KeyActor.acting(narrow), at=at)
    assert lifecycle.issue(project, draft, actor=KeyActor.acting(wide), at=at).key.holder == "Ward 3"
