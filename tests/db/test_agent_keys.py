"""Agent keys: 90 days and no longer, the scopes that they have by default, and how far they reach."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from keys import lifecycle
from keys.drafts import AGENT_END, Draft, Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.permissions import KeyActor
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.db.tampering import execute
from tests.db.watching import events, everything
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)
LIFE = 90 * DAY
DEFAULT = ["agents:run", "chat:send", "providers:use"]


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, name="Release agent", type=KeyType.AGENT)


def issue(project: Project, at: datetime, **draft: Any) -> Key:
    wanted = Draft("Release agent", KeyType.AGENT, **draft)
    return lifecycle.issue(project, wanted, actor=Actor.system(), at=at).key


def trim(project: Project, *gone: str) -> None:
    """Take scopes out of the catalogue."""
    for resource in project.resources.all():
        resource.actions = [each for each in resource.actions if f"{resource.name}:{each}" not in gone]
        resource.save(update_fields=["actions"])


# Its end


@pytest.mark.parametrize("microsecond", [0, 1, 999_999])
def test_it_ends_90_days_after_its_creation_to_the_microsecond(
    project: Project, at: datetime, microsecond: int
) -> None:
    made = at.replace(microsecond=microsecond)
    key = Key.objects.get(pk=issue(project, made).pk)
    assert key.created_at == made
    assert key.expires_at - key.created_at == LIFE
    assert key.expires_at.microsecond == microsecond


def test_it_passes_up_to_its_end_and_not_at_it(issued: Issued, at: datetime) -> None:
    assert check(issued.token, at=at + LIFE - MOMENT, scopes=DEFAULT).is_valid
    assert check(issued.token, at=at + LIFE).outcome is Outcome.EXPIRED


def test_its_event_says_its_end_and_its_scopes(project: Project, issued: Issued, at: datetime) -> None:
    assert events(project)[-1].changes == {
        "type": "agent",
        "environment": "live",
        "scopes": DEFAULT,
        "expires_at": (at + LIFE).isoformat(),
    }


@pytest.mark.parametrize("days", [1, 89, 90, 91, None])
def test_nobody_chooses_another_end(project: Project, at: datetime, days: int | None) -> None:
    end = NEVER_EXPIRES if days is None else at + days * DAY
    before = everything()
    with pytest.raises(ValidationError) as caught:
        issue(project, at, expires_at=end)
    assert caught.value.message_dict == {"expires_at": [AGENT_END]}
    assert everything() == before


@pytest.mark.parametrize("end", [-MOMENT, MOMENT, DAY, None], ids=str)
def test_the_verb_moves_its_end_neither_way(
    project: Project, issued: Issued, at: datetime, end: timedelta | None
) -> None:
    changes = Edit(expires_at=NEVER_EXPIRES if end is None else issued.key.expires_at + end)
    before = everything()
    with pytest.raises(ValidationError) as caught:
        lifecycle.edit(project, issued.key.key_id, changes, actor=Actor.system(), at=at, version=1)
    assert caught.value.message_dict == {"expires_at": [AGENT_END]}
    assert everything() == before


def test_neither_does_the_orm(issued: Issued) -> None:
    key = issued.key
    key.expires_at += MOMENT
    before = everything()
    with pytest.raises(IntegrityError, match="ends 90 days after"), transaction.atomic():
        key.save(update_fields=["expires_at"])
    with pytest.raises(IntegrityError, match="ends 90 days after"), transaction.atomic():
        Key.objects.filter(pk=key.pk).update(expires_at=key.created_at + DAY)
    assert everything() == before


def test_neither_does_sql(issued: Issued) -> None:
    before = everything()
    for end in ("9999-12-31 00:00:00", "2001-01-01 00:00:00"):
        with pytest.raises(IntegrityError, match="ends 90 days after"), transaction.atomic():
            execute(f"UPDATE keys_key SET expires_at = '{end}' WHERE id = {issued.key.pk}")
    assert everything() == before


def test_renewing_its_secret_adds_no_day(project: Project, issued: Issued, at: datetime) -> None:
    later = at + 30 * DAY
    renewed = lifecycle.renew(project, issued.key.key_id, actor=Actor.system(), at=later, version=1)
    assert Key.objects.get(pk=renewed.key.pk).expires_at == at + LIFE
    assert check(renewed.token, at=at + LIFE).outcome is Outcome.EXPIRED


# Its scopes


def test_it_has_the_usual_scopes_where_none_is_picked(project: Project, at: datetime) -> None:
    assert issue(project, at).scopes.split() == DEFAULT


def test_it_has_the_scopes_that_are_picked_and_no_others(project: Project, at: datetime) -> None:
    assert issue(project, at, scopes=["sources:read"]).scopes == "sources:read"


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (["chat:send"], "agents:run providers:use"),
        (["agents:run", "providers:use"], "chat:send"),
    ],
)
def test_of_the_usual_scopes_it_has_those_that_the_project_knows(
    project: Project, at: datetime, gone: list[str], left: str
) -> None:
    trim(project, *gone)
    assert issue(project, at).scopes == left


def test_where_the_project_knows_none_of_them_some_must_be_picked(project: Project, at: datetime) -> None:
    trim(project, *DEFAULT)
    before = everything()
    with pytest.raises(ValidationError) as caught:
        issue(project, at)
    assert caught.value.message_dict == {"scopes": ["Pick at least one scope."]}
    assert everything() == before
    assert issue(project, at, scopes=["sources:read"]).scopes == "sources:read"


def test_its_scopes_can_be_edited_and_count_from_the_next_check_on(
    project: Project, issued: Issued, at: datetime
) -> None:
    changes = Edit(scopes=["sources:read"])
    lifecycle.edit(project, issued.key.key_id, changes, actor=Actor.system(), at=at, version=1)
    assert check(issued.token, at=at, scopes=["sources:read"]).is_valid
    assert check(issued.token, at=at, scopes=["agents:run"]).outcome is Outcome.SCOPE_MISSING
    assert events(project)[-1].changes == {"scopes": [DEFAULT, ["sources:read"]]}


def test_it_can_not_be_left_without_a_scope(project: Project, issued: Issued, at: datetime) -> None:
    with pytest.raises(ValidationError) as caught:
        lifecycle.edit(
            project, issued.key.key_id, Edit(scopes=[]), actor=Actor.system(), at=at, version=1
        )  # fmt: skip
    assert caught.value.message_dict == {"scopes": ["Pick at least one scope."]}


def test_an_expired_one_is_renamed_and_stays_expired(project: Project, at: datetime) -> None:
    old = IssuedFactory(project=project, at=at - 120 * DAY, type=KeyType.AGENT)
    lifecycle.edit(project, old.key.key_id, Edit(name="Retired"), actor=Actor.system(), at=at, version=1)
    assert Key.objects.get(pk=old.key.pk).name == "Retired"
    assert check(old.token, at=at).outcome is Outcome.EXPIRED


# Who may


@pytest.mark.parametrize("scope", ["keys:read", "keys:write", "settings:read", "gateway:use"])
def test_an_operator_gives_it_nothing_that_is_above_operators(
    project: Project, operator: User, admin: User, at: datetime, scope: str
) -> None:
    draft = Draft("Release agent", KeyType.AGENT, ["agents:run", scope])
    otis, ada = acting(operator, project), acting(admin, project)
    before = everything()
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, draft, actor=otis, at=at)
    assert everything() == before
    assert lifecycle.issue(project, draft, actor=ada, at=at).key.scopes.split() == ["agents:run", scope]


def test_an_operator_edits_their_own_and_adds_nothing_above_operators(
    project: Project, operator: User, at: datetime
) -> None:
    otis = acting(operator, project)
    own = IssuedFactory(project=project, actor=otis, at=at, type=KeyType.AGENT).key
    theirs = IssuedFactory(project=project, at=at, type=KeyType.AGENT).key
    lifecycle.edit(project, own.key_id, Edit(name="Mine"), actor=otis, at=at, version=1)
    before = everything()
    for key, changes in ((own, Edit(scopes=["keys:read"])), (theirs, Edit(name="Mine too"))):
        with pytest.raises(PermissionDenied):
            lifecycle.edit(project, key.key_id, changes, actor=otis, at=at, version=2 if key is own else 1)
    assert everything() == before


def test_a_viewer_issues_and_edits_none(project: Project, viewer: User, issued: Issued, at: datetime) -> None:
    vera = acting(viewer, project)
    before = everything()
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, Draft("Mine", KeyType.AGENT), actor=vera, at=at)
    with pytest.raises(PermissionDenied):
        lifecycle.edit(project, issued.key.key_id, Edit(name="Mine"), actor=vera, at=at, version=1)
    assert everything() == before


# A key as the one who acts


def caller(project: Project, at: datetime, **fields: Any) -> KeyActor:
    scopes = ["keys:read", "keys:write", *DEFAULT]
    return KeyActor.acting(IssuedFactory(project=project, at=at, scopes=scopes, **fields).key)


@pytest.mark.parametrize(
    ("end", "within"), [(LIFE - MOMENT, False), (LIFE, True), (LIFE + DAY, True), (None, True)], ids=str
)
def test_a_key_that_ends_sooner_issues_none(
    project: Project, at: datetime, end: timedelta | None, within: bool
) -> None:
    actor = caller(project, at, expires_at=NEVER_EXPIRES if end is None else at + end)
    draft = Draft("Made", KeyType.AGENT)
    if within:
        assert lifecycle.issue(project, draft, actor=actor, at=at).key.type == "agent"
        return
    before = everything()
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, draft, actor=actor, at=at)
    assert everything() == before


def test_an_agent_key_issues_no_agent_key_that_outlives_it(project: Project, at: datetime) -> None:
    actor = caller(project, at - DAY, type=KeyType.AGENT)
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, Draft("Made", KeyType.AGENT), actor=actor, at=at)
    draft = Draft("Made", scopes=["chat:send"], expires_at=at + DAY)
    assert lifecycle.issue(project, draft, actor=actor, at=at).key.type == "restricted"


def test_the_usual_scopes_lie_within_the_caller_s_or_none_is_issued(project: Project, at: datetime) -> None:
    key = IssuedFactory(project=project, at=at, scopes=["keys:write", "agents:run"]).key
    actor = KeyActor.acting(key)
    with pytest.raises(PermissionDenied):
        lifecycle.issue(project, Draft("Made", KeyType.AGENT), actor=actor, at=at)
    draft = Draft("Made", KeyType.AGENT, ["agents:run"])
    assert lifecycle.issue(project, draft, actor=actor, at=at).key.scopes == "agents:run"
