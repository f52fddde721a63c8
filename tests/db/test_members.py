"""Who belongs to a project: the verbs, and that an owner who can sign in is always left."""

from collections.abc import Callable
from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from projects import lifecycle, people
from projects.audit import Actor, verify
from projects.models import SITE_LOG, AuditEvent, Membership, Project, Role, User
from tests.db.racing import race, split
from tests.db.watching import events, everything, writes_of
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, acting

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(project: Project, owner: User) -> Actor:
    return acting(owner, project, "192.0.2.41")


def role_of(project: Project, user: User) -> int | None:
    return Membership.objects.filter(project=project, user=user).values_list("role", flat=True).first()


def refused(verb: Callable[[], object]) -> str:
    """Run a verb that must be refused and leave every row as it was; return what it says."""
    before = everything()
    with pytest.raises(ValidationError) as caught:
        verb()
    assert everything() == before
    return " ".join(caught.value.messages)


def test_a_member_is_added_and_the_log_says_as_what(
    project: Project, actor: Actor, outsider: User, at: datetime
) -> None:
    member = lifecycle.add_member(project, outsider, Role.ADMIN, actor=actor, at=at)
    assert (member.role, member.created_at) == (Role.ADMIN, at)
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label, event.changes) == (
        "member.added", "person", str(outsider.pk), "Oleg Haas", {"role": [None, "Admin"]},
    )  # fmt: skip
    assert (event.actor_label, event.address, event.at) == ("Mara Lindqvist", "192.0.2.41", at)


def test_a_role_is_changed_with_both_in_the_log(
    project: Project, actor: Actor, operator: User, at: datetime
) -> None:
    lifecycle.change_role(project, operator, Role.VIEWER, actor=actor, at=at)
    assert role_of(project, operator) == Role.VIEWER
    event = events(project)[-1]
    assert (event.verb, event.changes) == ("member.role_changed", {"role": ["Operator", "Viewer"]})


def test_the_same_role_again_writes_nothing(
    project: Project, actor: Actor, operator: User, at: datetime
) -> None:
    rows = everything()
    lifecycle.change_role(project, operator, Role.OPERATOR, actor=actor, at=at)
    rows["AuditChain"] = everything()["AuditChain"]  # The site log's head may have come to be.
    assert everything() == rows


def test_a_role_that_another_has_changed_meanwhile_is_left_alone(
    project: Project, actor: Actor, operator: User, at: datetime
) -> None:
    lifecycle.change_role(project, operator, Role.ADMIN, actor=actor, at=at, was=Role.OPERATOR)
    before = everything()
    with pytest.raises(lifecycle.RoleChanged, match="Otis Brandt is Admin by now"):
        lifecycle.change_role(project, operator, Role.VIEWER, actor=actor, at=at, was=Role.OPERATOR)
    assert everything() == before


def test_a_member_is_removed_and_keeps_the_account(
    project: Project, actor: Actor, operator: User, at: datetime
) -> None:
    lifecycle.remove_member(project, operator, actor=actor, at=at)
    assert role_of(project, operator) is None
    assert User.objects.filter(pk=operator.pk, is_active=True).exists()
    event = events(project)[-1]
    assert (event.verb, event.changes) == ("member.removed", {"role": ["Operator", None]})


def test_nobody_is_a_member_twice(project: Project, actor: Actor, viewer: User, at: datetime) -> None:
    said = refused(lambda: lifecycle.add_member(project, viewer, Role.ADMIN, actor=actor, at=at))
    assert said == "This person is a member already."


def test_an_account_that_is_not_active_becomes_no_member(
    project: Project, actor: Actor, at: datetime
) -> None:
    gone = UserFactory(is_active=False)
    said = refused(lambda: lifecycle.add_member(project, gone, Role.OWNER, actor=actor, at=at))
    assert said == "This account isn't active."


@pytest.mark.parametrize("role", [0, 15, 41, -10])
def test_there_are_four_roles(
    project: Project, actor: Actor, operator: User, outsider: User, at: datetime, role: int
) -> None:
    for verb, user in ((lifecycle.add_member, outsider), (lifecycle.change_role, operator)):
        assert refused(lambda: verb(project, user, role, actor=actor, at=at)) == "Choose a role."  # noqa: B023


def test_whoever_is_not_a_member_can_neither_be_changed_nor_removed(
    project: Project, actor: Actor, outsider: User, at: datetime
) -> None:
    with pytest.raises(Membership.DoesNotExist):
        lifecycle.change_role(project, outsider, Role.ADMIN, actor=actor, at=at)
    with pytest.raises(Membership.DoesNotExist):
        lifecycle.remove_member(project, outsider, actor=actor, at=at)


VERBS: dict[str, Callable[[Project, User, Actor, datetime], object]] = {
    "add": lambda p, u, a, at: lifecycle.add_member(p, UserFactory(), Role.VIEWER, actor=a, at=at),
    "promote": lambda p, u, a, at: lifecycle.change_role(p, u, Role.OWNER, actor=a, at=at),
    "remove": lambda p, u, a, at: lifecycle.remove_member(p, u, actor=a, at=at),
    "rename": lambda p, u, a, at: lifecycle.rename_project(p, "New name", actor=a, at=at),
    "delete": lambda p, u, a, at: lifecycle.delete_project(p, actor=a, at=at),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [role for role in Role if role < Role.OWNER])
def test_only_owners_do_that(project: Project, viewer: User, verb: str, role: Role, at: datetime) -> None:
    below = MembershipFactory(project=project, role=role).user
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        VERBS[verb](project, viewer, acting(below, project), at)


@pytest.mark.parametrize("verb", VERBS)
def test_no_key_does_that(project: Project, viewer: User, verb: str, at: datetime) -> None:
    key = Actor("key", "7Fq2aB3dE5gH", "Deploy", Role.OWNER)
    with pytest.raises(PermissionDenied):
        VERBS[verb](project, viewer, key, at)


# The last owner


def test_the_last_owner_can_neither_leave_nor_be_demoted(
    project: Project, actor: Actor, owner: User, admin: User, at: datetime
) -> None:
    said = "Mara Lindqvist is the last owner of Acme. Make somebody else an owner first."
    assert refused(lambda: lifecycle.remove_member(project, owner, actor=actor, at=at)) == said
    assert refused(lambda: lifecycle.change_role(project, owner, Role.ADMIN, actor=actor, at=at)) == said


def test_with_another_owner_the_first_may_go(
    project: Project, actor: Actor, owner: User, admin: User, at: datetime
) -> None:
    lifecycle.change_role(project, admin, Role.OWNER, actor=actor, at=at)
    lifecycle.remove_member(project, owner, actor=actor, at=at)
    assert role_of(project, admin) == Role.OWNER


def test_an_owner_who_cannot_sign_in_does_not_count(
    project: Project, actor: Actor, owner: User, at: datetime
) -> None:
    asleep = MembershipFactory(project=project, role=Role.OWNER).user
    User.objects.filter(pk=asleep.pk).update(is_active=False)
    assert "last owner" in refused(lambda: lifecycle.remove_member(project, owner, actor=actor, at=at))
    # That one may go: the project loses nobody who could do anything.
    lifecycle.remove_member(project, asleep, actor=actor, at=at)
    assert role_of(project, asleep) is None


def test_an_owner_of_another_project_does_not_count(
    project: Project, actor: Actor, owner: User, outsider: User, at: datetime
) -> None:
    assert "last owner" in refused(lambda: lifecycle.remove_member(project, owner, actor=actor, at=at))


def test_the_account_of_a_last_owner_stays_active_and_the_refusal_names_the_projects(
    project: Project, owner: User, at: datetime
) -> None:
    for slug in ("bravo", "charlie", "delta"):
        other = ProjectFactory(name=slug.capitalize(), slug=slug)
        MembershipFactory(project=other, user=owner, role=Role.OWNER)
    shared = MembershipFactory(role=Role.OWNER).project
    MembershipFactory(project=shared, user=owner, role=Role.OWNER)
    said = refused(lambda: people.deactivate_person(owner, actor=Actor.system(), at=at))
    assert said == (
        "Mara Lindqvist is the last owner of Acme, Bravo, Charlie and more."
        " Make somebody else an owner first."
    )


def test_a_deleted_project_needs_no_owner(project: Project, actor: Actor, owner: User, at: datetime) -> None:
    lifecycle.delete_project(project, actor=actor, at=at)
    people.deactivate_person(owner, actor=Actor.system(), at=at)
    assert not User.objects.get(pk=owner.pk).is_active


@pytest.mark.parametrize("nth", range(2))
def test_a_verb_happens_whole_or_not_whichever_write_fails(
    project: Project, actor: Actor, operator: User, at: datetime, nth: int
) -> None:
    verb = [
        lambda: lifecycle.change_role(project, operator, Role.ADMIN, actor=actor, at=at),
        lambda: lifecycle.remove_member(project, operator, actor=actor, at=at),
    ][nth]
    assert writes_of(verb) >= 3
    assert verify(project.pk) == []


# Races


@pytest.fixture
def two_owners(transactional_db: None, at: datetime) -> tuple[Project, list[User]]:
    project = ProjectFactory(name="Acme", slug="acme")
    users = [MembershipFactory(project=project, role=Role.OWNER).user for _ in range(2)]
    return project, users


def _owners(project: Project) -> int:
    return Membership.objects.filter(project=project, role=Role.OWNER, user__is_active=True).count()


def _ways_out(project: Project, user: User, at: datetime) -> dict[str, Callable[[], object]]:
    actor = Actor.system()
    return {
        "leave": lambda: lifecycle.remove_member(project, user, actor=actor, at=at),
        "demote": lambda: lifecycle.change_role(project, user, Role.ADMIN, actor=actor, at=at),
        "deactivate": lambda: people.deactivate_person(user, actor=actor, at=at),
    }


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("first", ["leave", "demote", "deactivate"])
@pytest.mark.parametrize("second", ["leave", "demote", "deactivate"])
def test_two_owners_cannot_go_at_once(
    two_owners: tuple[Project, list[User]], first: str, second: str, at: datetime
) -> None:
    project, (one, other) = two_owners
    results = race(_ways_out(project, one, at)[first], _ways_out(project, other, at)[second])
    won, lost = split(results)
    assert len(won) == 1, lost
    assert isinstance(lost[0], ValidationError)
    assert "is the last owner of Acme" in str(lost[0])
    assert _owners(project) == 1
    assert verify(project.pk) == []
    assert verify(SITE_LOG) == []


@pytest.mark.django_db(transaction=True)
def test_whoever_is_made_an_owner_while_deactivated_does_not_let_the_last_one_go(
    two_owners: tuple[Project, list[User]], at: datetime
) -> None:
    project, (one, other) = two_owners
    actor = Actor.system()
    lifecycle.change_role(project, other, Role.VIEWER, actor=actor, at=at)

    def hand_over() -> None:
        lifecycle.change_role(project, other, Role.OWNER, actor=actor, at=at)
        lifecycle.remove_member(project, one, actor=actor, at=at)

    race(hand_over, lambda: people.deactivate_person(other, actor=actor, at=at))
    assert _owners(project) >= 1


@pytest.mark.django_db(transaction=True)
def test_the_same_person_is_added_once(two_owners: tuple[Project, list[User]], at: datetime) -> None:
    project, _ = two_owners
    person = UserFactory()
    add = lambda: lifecycle.add_member(project, person, Role.VIEWER, actor=Actor.system(), at=at)  # noqa: E731
    won, lost = split(race(add, add))
    assert (len(won), len(lost)) == (1, 1)
    assert isinstance(lost[0], ValidationError)
    assert AuditEvent.objects.filter(project_id=project.pk, verb="member.added").count() == 1
