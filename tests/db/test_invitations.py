"""Invitations: who may make one, whom it lets in, and every way in which it lets nobody in any more."""

import hashlib
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from config.redaction import holds_token
from projects import invitations, lifecycle, people
from projects.audit import Actor, verify
from projects.invitations import HasAccount, Invited, NotOpen, Stale
from projects.models import SITE_LOG, AuditEvent, Invitation, Membership, Project, Role, Standing, User
from tests.db.racing import race, split
from tests.db.watching import events, everything, writes_of
from tests.factories import MembershipFactory, ProjectFactory, UserFactory, acting, invited

pytestmark = pytest.mark.django_db

EMAIL = "ines@example.test"
PASSWORD = "correct horse battery"
TOKEN = "kr_live_" + "0a" * 28


@pytest.fixture
def actor(project: Project, owner: User) -> Actor:
    return acting(owner, project, "192.0.2.41")


@pytest.fixture
def ines(db: None) -> User:
    """Somebody with an account who belongs to no project."""
    return UserFactory(email=EMAIL, name="Inês Prado")


@pytest.fixture
def waiting(project: Project, owner: User, at: datetime) -> Invited:
    return invited(project, owner, EMAIL, at=at)


def rows() -> dict[str, list[Any]]:
    """Every row that a verb writes, accounts included."""
    return {**everything(), "User": list(User.objects.order_by("pk").values_list())}


def refused(verb: Callable[[], object]) -> str:
    """Run a verb that must be refused and leave every row as it was; return what it says."""
    before = rows()
    with pytest.raises(ValidationError) as caught:
        verb()
    assert rows() == before
    return " ".join(caught.value.messages)


def not_open(verb: Callable[[], object]) -> Standing | None:
    before = rows()
    with pytest.raises(NotOpen) as caught:
        verb()
    assert rows() == before
    return caught.value.standing


def join(given: Invited, at: datetime, name: str = "Inês Prado", password: str = PASSWORD) -> Membership:
    return invitations.join(given.invitation, name=name, password=password, at=at, address="192.0.2.7")


def role_of(project: Project, email: str = EMAIL) -> int | None:
    return (
        Membership.objects.filter(project=project, user__email=email).values_list("role", flat=True).first()
    )


# Made


def test_it_is_kept_without_its_token(project: Project, actor: Actor, at: datetime) -> None:
    given = invitations.invite(project, " Ines@Example.test ", Role.ADMIN, actor=actor, at=at)
    found = Invitation.objects.get()
    assert (found.email, found.role, found.invited_by, found.invited_by_label) == (
        EMAIL, Role.ADMIN, actor.user, "Mara Lindqvist",
    )  # fmt: skip
    assert (found.created_at, found.expires_at) == (at, at + timedelta(days=7))
    assert found.token_hash == hashlib.sha256(given.token.encode()).hexdigest()
    assert given.token not in str(rows())
    assert given.token not in repr(given)


def test_its_token_has_256_random_bits_and_is_known_for_a_secret_wherever_it_is_pasted(
    project: Project, owner: User
) -> None:
    tokens = {invited(project, owner, f"p{number}@example.test").token for number in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[0-9A-Za-z]{43}", token) for token in tokens)
    assert all(holds_token(f"see {token}") for token in tokens)


def test_the_log_says_who_was_invited_and_as_what(project: Project, waiting: Invited) -> None:
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label, event.changes) == (
        "member.invited", "invitation", waiting.invitation.public_id, EMAIL, {"role": [None, "Operator"]},
    )  # fmt: skip
    assert event.actor_label == "Mara Lindqvist"


@pytest.mark.parametrize(
    "email",
    [
        "", " ", "ines", "ines@", "@example.test", "ines@example", "ines@example.test, otto@example.test",
        "Inês <ines@example.test>", "ines@exam\nple.test", "x" * 250 + "@example.test",
        f"{TOKEN}@example.test", "\0@example.test",
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused(project: Project, actor: Actor, at: datetime, email: str) -> None:
    said = refused(lambda: invitations.invite(project, email, Role.VIEWER, actor=actor, at=at))
    assert said == "Enter an e-mail address, such as mara@example.org."


@pytest.mark.parametrize("role", [0, 15, 41, -10])
def test_there_are_four_roles(project: Project, actor: Actor, at: datetime, role: int) -> None:
    said = refused(lambda: invitations.invite(project, EMAIL, role, actor=actor, at=at))
    assert said == "Choose a role."


def test_a_member_is_not_invited(project: Project, actor: Actor, viewer: User, at: datetime) -> None:
    said = refused(lambda: invitations.invite(project, "VERA@example.test", 40, actor=actor, at=at))
    assert said == "This person is a member already."


def test_an_account_that_is_not_active_is_not_invited(
    project: Project, actor: Actor, ines: User, at: datetime
) -> None:
    User.objects.filter(pk=ines.pk).update(is_active=False)
    said = refused(lambda: invitations.invite(project, EMAIL, Role.VIEWER, actor=actor, at=at))
    assert said == "Their account isn't active. Ask somebody of staff to reactivate it."


def test_an_address_has_one_open_invitation_to_a_project(
    project: Project, actor: Actor, waiting: Invited, outsider: User, at: datetime
) -> None:
    said = refused(lambda: invitations.invite(project, EMAIL.upper(), Role.VIEWER, actor=actor, at=at))
    assert said == "This address is invited already."
    elsewhere = Project.objects.get(slug="elsewhere")
    assert invited(elsewhere, outsider, EMAIL, at=at).invitation.email == EMAIL


def test_one_that_has_expired_gives_way(
    project: Project, owner: User, actor: Actor, waiting: Invited, at: datetime
) -> None:
    later = at + timedelta(days=7)
    fresh = invitations.invite(project, EMAIL, Role.VIEWER, actor=actor, at=later)
    assert invitations.opened_by(fresh.token, later) == fresh.invitation
    assert not_open(lambda: invitations.opened_by(waiting.token, later)) is Standing.REVOKED
    assert [event.verb for event in events(project)[-2:]] == ["invitation.revoked", "member.invited"]


def test_one_that_is_void_gives_way(
    project: Project, owner: User, waiting: Invited, admin: User, at: datetime
) -> None:
    lifecycle.change_role(project, admin, Role.OWNER, actor=Actor.system(), at=at)
    lifecycle.change_role(project, owner, Role.ADMIN, actor=Actor.system(), at=at)
    assert invited(project, admin, EMAIL, at=at).invitation.invited_by == admin


VERBS: dict[str, Callable[[Project, Invited, Actor, datetime], object]] = {
    "invite": lambda p, i, a, at: invitations.invite(p, "anna@example.test", 10, actor=a, at=at),
    "new link": lambda p, i, a, at: invitations.make_new_link(
        p, i.invitation.public_id, version=1, actor=a, at=at
    ),
    "revoke": lambda p, i, a, at: invitations.revoke_invitation(p, i.invitation.public_id, actor=a, at=at),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", [role for role in Role if role < Role.OWNER])
def test_only_owners_do_that(project: Project, waiting: Invited, verb: str, role: Role, at: datetime) -> None:
    below = MembershipFactory(project=project, role=role).user
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        VERBS[verb](project, waiting, acting(below, project), at)


@pytest.mark.parametrize("verb", VERBS)
def test_no_key_does_that(project: Project, waiting: Invited, verb: str, at: datetime) -> None:
    with pytest.raises(PermissionDenied):
        VERBS[verb](project, waiting, Actor("key", "7Fq2aB3dE5gH", "Deploy", Role.OWNER), at)


@pytest.mark.parametrize("verb", VERBS)
def test_a_deleted_project_invites_nobody(
    project: Project, waiting: Invited, verb: str, at: datetime
) -> None:
    actor = acting(waiting.invitation.invited_by or User(), project)
    lifecycle.delete_project(project, actor=actor, at=at)
    assert refused(lambda: VERBS[verb](project, waiting, actor, at)) == "This project was deleted."


@pytest.mark.parametrize("verb", ["invite", "new link"])
def test_whoever_was_an_owner_a_page_ago_invites_nobody(
    project: Project, owner: User, admin: User, waiting: Invited, verb: str, at: datetime
) -> None:
    stale = acting(owner, project)
    lifecycle.change_role(project, admin, Role.OWNER, actor=stale, at=at)
    lifecycle.change_role(project, owner, Role.ADMIN, actor=stale, at=at)
    with pytest.raises(PermissionDenied, match="Ask an owner"):
        VERBS[verb](project, waiting, stale, at)


@pytest.mark.parametrize("verb", ["invite", "new link"])
def test_staff_and_the_system_invite_nobody_since_nobody_could_accept(
    project: Project, waiting: Invited, verb: str, at: datetime
) -> None:
    staff = Actor.person(UserFactory(is_staff=True), Role.OWNER)
    for stranger in (staff, Actor.system()):
        with pytest.raises(PermissionDenied):
            VERBS[verb](project, waiting, stranger, at)


@pytest.mark.parametrize("verb", ["new link", "revoke"])
def test_an_invitation_of_another_project_does_not_exist(
    outsider: User, waiting: Invited, verb: str, at: datetime
) -> None:
    elsewhere = Project.objects.get(slug="elsewhere")
    with pytest.raises(Invitation.DoesNotExist):
        VERBS[verb](elsewhere, waiting, acting(outsider, elsewhere), at)


# Replaced and taken back


def test_a_new_link_ends_the_one_before_and_counts_seven_days_anew(
    project: Project, actor: Actor, waiting: Invited, at: datetime
) -> None:
    later = at + timedelta(days=6)
    public_id = waiting.invitation.public_id
    fresh = invitations.make_new_link(project, public_id, version=1, actor=actor, at=later)
    assert not_open(lambda: invitations.opened_by(waiting.token, later)) is None
    assert invitations.opened_by(fresh.token, later + timedelta(days=6)).public_id == public_id
    assert events(project)[-1].verb == "invitation.renewed"
    assert fresh.token not in str(rows())


def test_whoever_makes_the_new_link_is_its_inviter(
    project: Project, owner: User, admin: User, waiting: Invited, at: datetime
) -> None:
    lifecycle.change_role(project, admin, Role.OWNER, actor=Actor.system(), at=at)
    lifecycle.remove_member(project, owner, actor=Actor.system(), at=at)
    assert not_open(lambda: invitations.opened_by(waiting.token, at)) is Standing.VOID
    fresh = invitations.make_new_link(
        project, waiting.invitation.public_id, version=1, actor=acting(admin, project), at=at
    )
    assert fresh.invitation.invited_by_label == "Ada Okafor"
    assert invitations.opened_by(fresh.token, at)


def test_a_new_link_of_another_s_that_one_has_not_seen_is_left_alone(
    project: Project, actor: Actor, waiting: Invited, at: datetime
) -> None:
    public_id = waiting.invitation.public_id
    fresh = invitations.make_new_link(project, public_id, version=1, actor=actor, at=at)
    before = rows()
    with pytest.raises(Stale, match="Somebody has made a new link"):
        invitations.make_new_link(project, public_id, version=1, actor=actor, at=at)
    assert rows() == before
    assert invitations.opened_by(fresh.token, at)


def test_no_new_link_for_whoever_became_a_member_otherwise(
    project: Project, actor: Actor, waiting: Invited, ines: User, at: datetime
) -> None:
    lifecycle.add_member(project, ines, Role.VIEWER, actor=actor, at=at)
    make = VERBS["new link"]
    assert refused(lambda: make(project, waiting, actor, at)) == "This person is a member already."


def test_a_revoked_one_opens_nothing(
    project: Project, actor: Actor, waiting: Invited, ines: User, at: datetime
) -> None:
    invitations.revoke_invitation(project, waiting.invitation.public_id, actor=actor, at=at)
    assert not_open(lambda: invitations.opened_by(waiting.token, at)) is Standing.REVOKED
    assert not_open(lambda: invitations.accept(waiting.invitation, ines, at=at)) is Standing.REVOKED
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.object_label) == (
        "invitation.revoked", waiting.invitation.public_id, EMAIL,
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["new link", "revoke"])
@pytest.mark.parametrize("end", ["revoked", "accepted"])
def test_what_has_ended_is_left_alone(
    project: Project, actor: Actor, waiting: Invited, ines: User, at: datetime, verb: str, end: str
) -> None:
    if end == "revoked":
        VERBS["revoke"](project, waiting, actor, at)
    else:
        invitations.accept(waiting.invitation, ines, at=at)
    before = rows()
    with pytest.raises(Stale, match=end):
        VERBS[verb](project, waiting, actor, at)
    assert rows() == before


def test_staff_revoke_one(project: Project, waiting: Invited, at: datetime) -> None:
    staff = Actor.person(UserFactory(is_staff=True), Role.OWNER)
    invitations.revoke_invitation(project, waiting.invitation.public_id, actor=staff, at=at)
    assert Invitation.objects.get().revoked_at == at


# Accepted


def test_opening_it_accepts_nothing(project: Project, waiting: Invited, ines: User, at: datetime) -> None:
    before = rows()
    found = invitations.opened_by(waiting.token, at)
    assert invitations.waiting_for(ines, found.public_id, at) == found
    assert invitations.account_for(found) == ines
    assert rows() == before


def test_whoever_has_the_account_becomes_a_member(
    project: Project, waiting: Invited, ines: User, at: datetime
) -> None:
    member = invitations.accept(waiting.invitation, ines, at=at, address="192.0.2.7")
    assert (member.user, member.role, member.created_at) == (ines, Role.OPERATOR, at)
    assert Invitation.objects.get().accepted_at == at
    accepted, added = events(project)[-2:]
    assert (accepted.verb, accepted.object_id, accepted.object_label) == (
        "invitation.accepted", waiting.invitation.public_id, EMAIL,
    )  # fmt: skip
    assert (added.verb, added.object_id, added.changes) == (
        "member.added", str(ines.pk),
        {"role": [None, "Operator"], "invited_by": [None, "Mara Lindqvist"]},
    )  # fmt: skip
    for event in (accepted, added):
        assert (event.actor_id, event.actor_label, event.address) == (str(ines.pk), "Inês Prado", "192.0.2.7")
    assert User.objects.filter(email=EMAIL).count() == 1


def test_whoever_has_none_gets_an_account_and_the_membership(
    project: Project, waiting: Invited, at: datetime
) -> None:
    member = join(waiting, at, name=" Inês  Prado ")
    person = User.objects.get(email=EMAIL)
    assert (member.user, person.name, person.date_joined, person.is_staff) == (
        person,
        "Inês Prado",
        at,
        False,
    )
    assert person.check_password(PASSWORD)
    assert not person.must_change_password
    created = AuditEvent.objects.filter(project_id=SITE_LOG).latest("number")
    assert (created.verb, created.actor_id, created.object_id, created.address) == (
        "person.created", str(person.pk), str(person.pk), "192.0.2.7",
    )  # fmt: skip
    assert created.changes == {"email": EMAIL, "name": "Inês Prado", "is_staff": False}
    assert [event.verb for event in events(project)[-2:]] == ["invitation.accepted", "member.added"]
    assert PASSWORD not in str(rows())
    assert verify(project.pk) == verify(SITE_LOG) == []


@pytest.mark.parametrize(
    ("name", "password", "field"),
    [
        ("", PASSWORD, "name"),
        ("a\u202eb", PASSWORD, "name"),
        (TOKEN, PASSWORD, "name"),
        ("x " * 101, PASSWORD, "name"),
        ("Inês", "short", "password"),
        ("Inês", "", "password"),
        ("Inês", "password123", "password"),
        ("Inês", EMAIL, "password"),
        ("Quartz Lantern", "quartz lantern", "password"),
    ],
)
def test_an_account_that_does_not_fit_is_refused(
    project: Project, waiting: Invited, at: datetime, name: str, password: str, field: str
) -> None:
    before = rows()
    with pytest.raises(ValidationError) as caught:
        join(waiting, at, name, password)
    assert list(caught.value.message_dict) == [field]
    assert rows() == before


def test_where_an_account_came_to_be_its_owner_signs_in_instead(
    project: Project, waiting: Invited, ines: User, at: datetime
) -> None:
    before = rows()
    with pytest.raises(HasAccount):
        join(waiting, at)
    assert rows() == before


def test_it_is_for_the_account_of_its_address_alone(
    project: Project, waiting: Invited, outsider: User, ines: User, at: datetime
) -> None:
    before = rows()
    with pytest.raises(PermissionDenied, match="for somebody else"):
        invitations.accept(waiting.invitation, outsider, at=at)
    assert not_open(lambda: invitations.waiting_for(outsider, waiting.invitation.public_id, at)) is None
    assert rows() == before


def test_a_member_already_accepts_nothing(
    project: Project, actor: Actor, waiting: Invited, ines: User, at: datetime
) -> None:
    lifecycle.add_member(project, ines, Role.VIEWER, actor=actor, at=at)
    said = refused(lambda: invitations.accept(waiting.invitation, ines, at=at))
    assert said == "You are a member of Acme already."
    assert role_of(project) == Role.VIEWER


def test_it_lets_in_once(project: Project, actor: Actor, waiting: Invited, at: datetime) -> None:
    join(waiting, at)
    ines = User.objects.get(email=EMAIL)
    lifecycle.remove_member(project, ines, actor=actor, at=at)
    for verb in (
        lambda: invitations.opened_by(waiting.token, at),
        lambda: invitations.waiting_for(ines, waiting.invitation.public_id, at),
        lambda: invitations.accept(waiting.invitation, ines, at=at),
        lambda: join(waiting, at),
    ):
        assert not_open(verb) is Standing.ACCEPTED
    assert role_of(project) is None


@pytest.mark.parametrize("nth", range(2))
def test_it_happens_whole_or_not_whichever_write_fails(
    project: Project, waiting: Invited, at: datetime, nth: int
) -> None:
    # The site log's head is there, as it is once anybody has signed in.
    people.create_person("otto@example.test", actor=Actor.system(), at=at)
    verbs: list[Callable[[], object]] = [
        lambda: join(waiting, at),
        lambda: invitations.accept(waiting.invitation, User.objects.get(email=EMAIL), at=at),
    ]
    if nth == 1:
        UserFactory(email=EMAIL)
    accounts = User.objects.count()
    assert writes_of(verbs[nth]) >= 6
    assert User.objects.count() == accounts + (nth == 0)
    assert verify(project.pk) == verify(SITE_LOG) == []


# What makes it void


def demoted(project: Project, owner: User, at: datetime) -> None:
    lifecycle.change_role(project, owner, Role.ADMIN, actor=Actor.system(), at=at)


def removed(project: Project, owner: User, at: datetime) -> None:
    lifecycle.remove_member(project, owner, actor=Actor.system(), at=at)


def deactivated(project: Project, owner: User, at: datetime) -> None:
    people.deactivate_person(owner, actor=Actor.system(), at=at)


def erased(project: Project, owner: User, at: datetime) -> None:
    owner.delete()


def deleted(project: Project, owner: User, at: datetime) -> None:
    lifecycle.delete_project(project, actor=Actor.system(), at=at)


@pytest.mark.parametrize("end", [demoted, removed, deactivated, erased, deleted])
def test_it_is_void_when_its_inviter_may_not_invite_any_more(
    project: Project,
    owner: User,
    waiting: Invited,
    at: datetime,
    end: Callable[[Project, User, datetime], None],
) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    end(project, owner, at)
    assert not_open(lambda: invitations.opened_by(waiting.token, at)) is Standing.VOID
    assert not_open(lambda: join(waiting, at)) is Standing.VOID
    ines = UserFactory(email=EMAIL)
    assert not_open(lambda: invitations.accept(waiting.invitation, ines, at=at)) is Standing.VOID
    assert not_open(lambda: invitations.waiting_for(ines, waiting.invitation.public_id, at)) is Standing.VOID


def test_an_owner_of_another_project_could_not_invite_to_this_one(
    project: Project, owner: User, waiting: Invited, at: datetime
) -> None:
    MembershipFactory(project=project, role=Role.OWNER)
    MembershipFactory(project=ProjectFactory(), user=owner, role=Role.OWNER)
    removed(project, owner, at)
    assert not_open(lambda: invitations.opened_by(waiting.token, at)) is Standing.VOID


def test_it_expires_after_seven_days(project: Project, waiting: Invited, at: datetime) -> None:
    end = at + timedelta(days=7)
    assert invitations.opened_by(waiting.token, end - timedelta(seconds=1))
    assert not_open(lambda: invitations.opened_by(waiting.token, end)) is Standing.EXPIRED
    assert not_open(lambda: join(waiting, end)) is Standing.EXPIRED


def test_an_account_that_was_shut_meanwhile_is_let_in_nowhere(
    project: Project, waiting: Invited, ines: User, at: datetime
) -> None:
    people.deactivate_person(ines, actor=Actor.system(), at=at)
    assert not_open(lambda: invitations.account_for(waiting.invitation)) is Standing.VOID
    assert not_open(lambda: invitations.accept(waiting.invitation, ines, at=at)) is Standing.VOID


def test_what_was_opened_before_a_new_link_was_made_lets_nobody_in(
    project: Project, actor: Actor, waiting: Invited, at: datetime
) -> None:
    opened = invitations.opened_by(waiting.token, at)
    invitations.make_new_link(project, opened.public_id, version=1, actor=actor, at=at)
    stale = Invited(opened, waiting.token)
    assert not_open(lambda: join(stale, at)) is None


@pytest.mark.parametrize("token", ["", "x", "\0", "A" * 43, "é" * 43])
def test_an_invented_token_opens_nothing(waiting: Invited, at: datetime, token: str) -> None:
    assert not_open(lambda: invitations.opened_by(token, at)) is None


def test_a_standing_is_never_told_of_a_row_that_was_not_judged(waiting: Invited, at: datetime) -> None:
    with pytest.raises(KeyError):
        Invitation.objects.get().standing(at)


# Races


@pytest.fixture
def stage(transactional_db: None, at: datetime) -> tuple[Project, list[User], Invited]:
    """A project with two owners and an invitation of the first."""
    project = ProjectFactory(name="Acme", slug="acme")
    owners = [MembershipFactory(project=project, role=Role.OWNER).user for _ in range(2)]
    return project, owners, invited(project, owners[0], EMAIL, at=at)


def assert_whole(project: Project) -> None:
    assert verify(project.pk) == verify(SITE_LOG) == []


@pytest.mark.django_db(transaction=True)
def test_two_accept_at_once_and_one_account_comes_of_it(
    stage: tuple[Project, list[User], Invited], at: datetime
) -> None:
    project, _, given = stage
    won, lost = split(race(*[lambda: join(given, at)] * 4))
    assert len(won) == 1, lost
    assert {type(error) for error in lost} == {NotOpen}
    assert User.objects.filter(email=EMAIL).count() == 1
    assert Membership.objects.filter(project=project).count() == 3
    assert [event.verb for event in events(project)].count("invitation.accepted") == 1
    assert_whole(project)


@pytest.mark.django_db(transaction=True)
def test_one_account_accepts_twice_at_once_and_is_a_member_once(
    stage: tuple[Project, list[User], Invited], at: datetime
) -> None:
    project, _, given = stage
    ines = UserFactory(email=EMAIL)
    won, lost = split(race(*[lambda: invitations.accept(given.invitation, ines, at=at)] * 4))
    assert len(won) == 1, lost
    assert {type(error) for error in lost} == {NotOpen}
    assert_whole(project)


ENDS: dict[str, Callable[[Project, list[User], Invited, datetime], object]] = {
    "revoked": lambda p, o, i, at: invitations.revoke_invitation(
        p, i.invitation.public_id, actor=acting(o[1], p), at=at
    ),
    "replaced": lambda p, o, i, at: invitations.make_new_link(
        p, i.invitation.public_id, version=1, actor=acting(o[1], p), at=at
    ),
    "inviter removed": lambda p, o, i, at: lifecycle.remove_member(p, o[0], actor=Actor.system(), at=at),
    "inviter demoted": lambda p, o, i, at: lifecycle.change_role(
        p, o[0], Role.ADMIN, actor=Actor.system(), at=at
    ),
    "inviter deactivated": lambda p, o, i, at: people.deactivate_person(o[0], actor=Actor.system(), at=at),
    "project deleted": lambda p, o, i, at: lifecycle.delete_project(p, actor=Actor.system(), at=at),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("end", ENDS)
def test_whoever_accepts_while_it_ends_came_before_or_came_too_late(
    stage: tuple[Project, list[User], Invited], end: str, at: datetime
) -> None:
    project, owners, given = stage
    joined, ended = race(lambda: join(given, at), lambda: ENDS[end](project, owners, given, at))
    verbs = [event.verb for event in events(project)]
    if isinstance(joined, Exception):
        assert isinstance(joined, NotOpen), joined
        assert not isinstance(ended, Exception), ended
        assert not User.objects.filter(email=EMAIL).exists()
        assert "member.added" not in verbs
    else:
        assert role_of(project) == Role.OPERATOR
        # Whatever ends an invitation finds that it was accepted; the rest goes its way.
        assert isinstance(ended, Stale) is (end in ("revoked", "replaced")), ended
    assert_whole(project)


@pytest.mark.django_db(transaction=True)
def test_an_address_is_invited_once_by_two_owners_at_once(
    stage: tuple[Project, list[User], Invited], at: datetime
) -> None:
    project, owners, _ = stage
    calls = [lambda owner=owner: invited(project, owner, "otto@example.test", at=at) for owner in owners]
    won, lost = split(race(*calls))
    assert len(won) == 1, lost
    assert isinstance(lost[0], ValidationError)
    assert Invitation.objects.filter(email="otto@example.test").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_two_new_links_at_once_one_is_made_and_works(
    stage: tuple[Project, list[User], Invited], at: datetime
) -> None:
    project, owners, given = stage
    public_id = given.invitation.public_id
    calls = [
        lambda owner=owner: invitations.make_new_link(
            project, public_id, version=1, actor=acting(owner, project), at=at
        )
        for owner in owners
    ]
    won, lost = split(race(*calls))
    assert len(won) == 1, lost
    assert isinstance(lost[0], Stale)
    assert invitations.opened_by(won[0].token, at).public_id == public_id
