"""Accounts: what staff do with them, and what the site log says of it."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from projects import people
from projects.audit import Actor
from projects.models import SITE_LOG, AuditEvent, Project, Role, User
from tests.db.racing import race, split
from tests.db.watching import everything
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"


@pytest.fixture
def ines(db: None) -> User:
    """Somebody of staff."""
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def actor(ines: User) -> Actor:
    return Actor.person(ines, Role.OWNER, "192.0.2.41")


def last_event() -> AuditEvent:
    return AuditEvent.objects.filter(project_id=SITE_LOG).latest("number")


def test_an_account_is_made_without_a_password(actor: Actor, at: datetime) -> None:
    person = people.create_person(" Mara@Example.test ", name=" Mara  Lindqvist", actor=actor, at=at)
    stored = User.objects.get(pk=person.pk)
    assert (stored.email, stored.name, stored.is_staff, stored.is_active, stored.date_joined) == (
        "mara@example.test", "Mara Lindqvist", False, True, at,
    )  # fmt: skip
    assert not stored.has_usable_password()
    event = last_event()
    assert (event.verb, event.object_id, event.actor_label, event.address) == (
        "person.created", str(person.pk), "Ines Varga", "192.0.2.41",
    )  # fmt: skip
    assert event.changes == {"email": "mara@example.test", "name": "Mara Lindqvist", "is_staff": False}


@pytest.mark.parametrize(
    ("email", "name", "field"),
    [
        ("", "Mara", "email"),
        ("mara", "Mara", "email"),
        ("INES@example.test", "Mara", "email"),
        ("kr_live_" + "0" * 56 + "@example.test", "Mara", "email"),
        ("x" * 250 + "@example.test", "Mara", "email"),
        ("mara@example.test", "x\u202ey", "name"),
        ("mara@example.test", "kr_live_" + "0" * 56, "name"),
        ("mara@example.test", "x " * 101, "name"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(
    actor: Actor, at: datetime, email: str, name: str, field: str
) -> None:
    before = everything()
    with pytest.raises(ValidationError) as caught:
        people.create_person(email, name=name, actor=actor, at=at)
    assert list(caught.value.message_dict) == [field]
    assert "0" * 56 not in repr(caught.value)
    assert everything() == before
    assert User.objects.count() == 1


def test_an_edit_has_each_value_before_and_after(actor: Actor, at: datetime) -> None:
    person = UserFactory(email="old@example.test", name="Mara")
    people.edit_person(person, email="new@example.test", name="Mara", is_staff=True, actor=actor, at=at)
    event = last_event()
    assert (event.verb, event.changes) == (
        "person.edited",
        {"email": ["old@example.test", "new@example.test"], "is_staff": [False, True]},
    )


def test_an_edit_that_changes_nothing_writes_nothing(actor: Actor, at: datetime) -> None:
    person = UserFactory(name="")
    people.edit_person(person, email=person.email, name="", is_staff=False, actor=actor, at=at)
    assert not AuditEvent.objects.filter(project_id=SITE_LOG).exists()


def test_another_account_s_address_is_refused(actor: Actor, ines: User, at: datetime) -> None:
    person = UserFactory()
    with pytest.raises(ValidationError) as caught:
        people.edit_person(person, email=ines.email, name="", is_staff=False, actor=actor, at=at)
    assert caught.value.message_dict == {"email": ["Another account has this e-mail address."]}


def test_deactivating_keeps_memberships(actor: Actor, viewer: User, project: Project, at: datetime) -> None:
    people.deactivate_person(viewer, actor=actor, at=at)
    assert project.memberships.filter(user=viewer).exists()


def test_a_second_time_writes_nothing(actor: Actor, at: datetime) -> None:
    person = UserFactory()
    people.deactivate_person(person, actor=actor, at=at)
    before = everything()
    people.deactivate_person(person, actor=actor, at=at)
    assert everything() == before


def test_nobody_shuts_themselves_out(actor: Actor, ines: User, at: datetime) -> None:
    UserFactory(is_staff=True)
    before = everything()
    with pytest.raises(ValidationError, match="nobody shuts themselves out"):
        people.deactivate_person(ines, actor=actor, at=at)
    with pytest.raises(ValidationError, match="nobody shuts themselves out"):
        people.edit_person(ines, email=ines.email, name="Ines", is_staff=False, actor=actor, at=at)
    assert everything() == before


def test_somebody_of_staff_is_always_left(ines: User, at: datetime) -> None:
    with pytest.raises(ValidationError, match="Ines Varga is the last active account of staff"):
        people.deactivate_person(ines, actor=Actor.system(), at=at)


VERBS: dict[str, Callable[[User, Actor, datetime], object]] = {
    "create": lambda user, actor, at: people.create_person("new@example.test", actor=actor, at=at),
    "edit": lambda user, actor, at: people.edit_person(
        user, email=user.email, name="Other", is_staff=True, actor=actor, at=at
    ),
    "deactivate": lambda user, actor, at: people.deactivate_person(user, actor=actor, at=at),
    "reactivate": lambda user, actor, at: people.reactivate_person(user, actor=actor, at=at),
    "link": lambda user, actor, at: people.make_password_link(user, actor=actor, at=at),
}


@pytest.mark.parametrize("verb", VERBS)
def test_whoever_is_not_staff_does_none_of_it(
    project: Project, owner: User, viewer: User, verb: str, at: datetime
) -> None:
    before = everything()
    for actor in (Actor.person(owner, Role.OWNER), Actor("key", "7Fq2aB3dE5gH", "Deploy", Role.OWNER)):
        with pytest.raises(PermissionDenied):
            VERBS[verb](viewer, actor, at)
    assert everything() == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_flag_that_was_taken_away_meanwhile_does_not_count(
    ines: User, actor: Actor, verb: str, at: datetime
) -> None:
    person = UserFactory()
    User.objects.filter(pk=ines.pk).update(is_staff=False)
    with pytest.raises(PermissionDenied):
        VERBS[verb](person, actor, at)


# Password links


def test_a_link_is_recorded_but_never_written_down(actor: Actor, at: datetime) -> None:
    person = UserFactory()
    link = people.make_password_link(person, actor=actor, at=at)
    event = last_event()
    assert (event.verb, event.object_id, event.changes) == (
        "person.password_link_made", str(person.pk), {"locked": False},
    )  # fmt: skip
    assert link.rpartition("-")[2].strip("/") not in repr(list(AuditEvent.objects.values_list()))


def test_a_link_with_lock_ends_the_password_at_once(actor: Actor, at: datetime) -> None:
    person = User.objects.create_user("mara@example.test", PASSWORD)
    people.make_password_link(person, lock=True, actor=actor, at=at)
    assert not User.objects.get(pk=person.pk).has_usable_password()
    assert last_event().changes == {"locked": True}


def test_a_link_without_lock_leaves_them_as_they_are(actor: Actor, at: datetime) -> None:
    person = User.objects.create_user("mara@example.test", PASSWORD)
    people.make_password_link(person, actor=actor, at=at)
    assert User.objects.get(pk=person.pk).check_password(PASSWORD)


def test_an_account_that_is_not_active_gets_no_link(actor: Actor, at: datetime) -> None:
    with pytest.raises(ValidationError, match="Reactivate it first"):
        people.make_password_link(UserFactory(is_active=False), actor=actor, at=at)


@pytest.mark.django_db(transaction=True)
def test_two_of_staff_cannot_shut_each_other_out_at_once(transactional_db: None, at: datetime) -> None:
    one, other = (UserFactory(is_staff=True) for _ in range(2))

    def shut(whom: User, by: User) -> Callable[[], object]:
        return lambda: people.deactivate_person(whom, actor=Actor.person(by, Role.OWNER), at=at)

    won, lost = split(race(shut(one, other), shut(other, one)))
    assert (len(won), len(lost)) == (1, 1)
    assert User.objects.filter(is_staff=True, is_active=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_an_address_is_given_once(transactional_db: None, at: datetime) -> None:
    actor = Actor.system()
    make = lambda: people.create_person("mara@example.test", actor=actor, at=at)  # noqa: E731
    won, lost = split(race(make, make))
    assert (len(won), len(lost)) == (1, 1)
    assert isinstance(lost[0], ValidationError)


def test_a_person_whom_a_project_needs_is_named_before_anything_is_written(
    project: Project, owner: User, actor: Actor, at: datetime
) -> None:
    MembershipFactory(project=project, role=Role.ADMIN)
    before = everything()
    with pytest.raises(ValidationError, match="last owner of Acme"):
        people.deactivate_person(owner, actor=actor, at=at)
    assert everything() == before
