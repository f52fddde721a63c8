from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from keys import lifecycle, tokens
from keys.conflicts import AlreadyRevoked, Protected, Stale
from keys.drafts import Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Project, User
from tests.db.watching import events, everything, writes_of
from tests.factories import IssuedFactory, acting

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture
def actor(project: Project, operator: User) -> Actor:
    return acting(operator, project, "192.0.2.41")


@pytest.fixture
def issued(project: Project, actor: Actor, at: datetime) -> Issued:
    return IssuedFactory(project=project, actor=actor, at=at, name="Docs crawler", note="old")


def test_it_changes_what_was_given_and_nothing_else(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    end = at + 9 * DAY
    changes = Edit(name=" Docs  Crawler 2", scopes=["chat:read", "chat:send"], expires_at=end)
    lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
    key = Key.objects.get(pk=issued.key.pk)
    assert (key.name, key.name_folded, key.note) == ("Docs Crawler 2", "docs crawler 2", "old")
    assert (key.scopes, key.expires_at, key.version) == ("chat:read chat:send", end, 2)
    assert (key.secret_hash, key.confirmed_at) == (issued.key.secret_hash, None)
    assert check(issued.token, at=at, scopes=["chat:send"]).is_valid
    assert check(issued.token, at=at, scopes=["sources:read"]).outcome is Outcome.SCOPE_MISSING


def test_its_event_has_each_changed_value_before_and_after(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    changes = Edit(note="new", scopes=["chat:read"], expires_at=at + DAY)
    lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
    event = events(project)[-1]
    assert (event.verb, event.object_id) == ("key.edited", issued.key.key_id)
    assert event.changes == {
        "note": ["old", "new"],
        "scopes": [["sources:read"], ["chat:read"]],
        "expires_at": [None, (at + DAY).isoformat()],
    }


@pytest.mark.parametrize(
    "changes", [Edit(), Edit(name="Docs crawler"), Edit(note="old", scopes=["sources:read"])]
)
def test_what_changes_nothing_writes_nothing(
    project: Project, actor: Actor, issued: Issued, at: datetime, changes: Edit
) -> None:
    before = everything()
    lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
    assert everything() == before


def test_its_own_name_in_another_case_is_free(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    changes = Edit(name="DOCS CRAWLER")
    lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
    assert Key.objects.get(pk=issued.key.pk).name == "DOCS CRAWLER"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": ""}, {"name": ["Enter a name."]}),
        ({"name": "automator KEY"}, {"name": ["Another key is called “Automator Key”."]}),
        ({"scopes": []}, {"scopes": ["Pick at least one scope."]}),
        ({"scopes": ["no:such"]}, {"scopes": ["This project has no scope called “no:such”."]}),
        ({"note": "x " * 501}, {"note": ["Use 1,000 characters or fewer."]}),
        (
            {"name": "", "scopes": []},
            {"name": ["Enter a name."], "scopes": ["Pick at least one scope."]},
        ),
    ],
)
def test_what_breaks_a_rule_is_refused_by_field_all_at_once(
    project: Project, actor: Actor, issued: Issued, at: datetime, changes: dict[str, Any],
    said: dict[str, list[str]],
) -> None:  # fmt: skip
    before = everything()
    with pytest.raises(ValidationError) as caught:
        lifecycle.edit(project, issued.key.key_id, Edit(**changes), actor=actor, at=at, version=1)
    assert caught.value.message_dict == said
    assert everything() == before


def test_a_token_in_a_text_is_refused(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    token = tokens.parse(issued.token)
    assert token is not None
    for changes in (Edit(name=issued.token), Edit(note=f"it is {issued.token}")):
        with pytest.raises(ValidationError) as caught:
            lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
        assert token.secret not in repr(caught.value)


def test_a_stale_version_is_refused(project: Project, actor: Actor, issued: Issued, at: datetime) -> None:
    key_id = issued.key.key_id
    lifecycle.edit(project, key_id, Edit(note="mine"), actor=actor, at=at, version=1)
    before = everything()
    with pytest.raises(Stale):
        lifecycle.edit(project, key_id, Edit(note="theirs"), actor=actor, at=at, version=1)
    assert everything() == before


def test_an_end_can_be_moved_while_the_key_lives_and_not_once_it_has_expired(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    key_id = issued.key.key_id
    for version, end in enumerate([at + DAY, at + 9 * DAY, NEVER_EXPIRES, at + DAY], start=1):
        lifecycle.edit(project, key_id, Edit(expires_at=end), actor=actor, at=at, version=version)
    with pytest.raises(ValidationError, match="after today"):
        lifecycle.edit(project, key_id, Edit(expires_at=at), actor=actor, at=at, version=5)
    later = at + DAY
    with pytest.raises(ValidationError, match="can't be brought back"):
        lifecycle.edit(project, key_id, Edit(expires_at=later + DAY), actor=actor, at=later, version=5)
    lifecycle.edit(project, key_id, Edit(note="expired"), actor=actor, at=later, version=5)
    assert check(issued.token, at=later).outcome is Outcome.EXPIRED


def test_the_automator_key_and_a_revoked_key_are_left_alone(
    project: Project, owner: User, issued: Issued, at: datetime
) -> None:
    mara = acting(owner, project)
    automator = project.keys.get(type=KeyType.SYSTEM)
    lifecycle.revoke(project, issued.key.key_id, actor=mara, at=at)
    before = everything()
    for key, error in ((automator, Protected), (issued.key, AlreadyRevoked)):
        with pytest.raises(error):
            lifecycle.edit(project, key.key_id, Edit(note="x"), actor=mara, at=at, version=key.version)
    assert everything() == before


def test_nobody_gives_a_key_a_scope_that_they_could_not_have_issued_it_with(
    project: Project, actor: Actor, admin: User, issued: Issued, at: datetime
) -> None:
    changes = Edit(scopes=["sources:read", "keys:read"])
    before = everything()
    with pytest.raises(PermissionDenied):
        lifecycle.edit(project, issued.key.key_id, changes, actor=actor, at=at, version=1)
    assert everything() == before
    ada = acting(admin, project)
    lifecycle.edit(project, issued.key.key_id, changes, actor=ada, at=at, version=1)
    # Nor does an operator edit a key that reaches further than they do, though it is their own.
    with pytest.raises(PermissionDenied):
        lifecycle.edit(project, issued.key.key_id, Edit(note="x"), actor=actor, at=at, version=2)


def test_somebody_else_s_key_is_an_admin_s_to_edit(
    project: Project, actor: Actor, admin: User, at: datetime
) -> None:
    key = IssuedFactory(project=project).key
    with pytest.raises(PermissionDenied):
        lifecycle.edit(project, key.key_id, Edit(note="x"), actor=actor, at=at, version=1)
    ada = acting(admin, project)
    lifecycle.edit(project, key.key_id, Edit(note="x"), actor=ada, at=at, version=1)


def test_a_key_of_another_project_is_missing(project: Project, owner: User, at: datetime) -> None:
    other = IssuedFactory().key
    with pytest.raises(Key.DoesNotExist):
        lifecycle.edit(project, other.key_id, Edit(note="x"), actor=acting(owner, project), at=at, version=1)


def test_it_happens_whole_or_not_whichever_write_fails(
    project: Project, actor: Actor, issued: Issued, at: datetime
) -> None:
    def edit() -> None:
        lifecycle.edit(project, issued.key.key_id, Edit(name="New"), actor=actor, at=at, version=1)

    assert writes_of(edit) == 3
