"""The second factor: what turns it on and off, which codes are taken and how often, and how it is sealed."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError
from django.db import connection

from config.sealing import SealingError
from projects import factor_sealing, second_factor
from projects.audit import Actor
from projects.models import SITE_LOG, AuditEvent, Project, Role, User
from projects.second_factor import APP, CODES, AlreadyOn, NoSecondFactor
from tests.authenticator import App, enrol
from tests.db.racing import race, split
from tests.db.watching import DiskFull, failing_at

pytestmark = pytest.mark.django_db


@pytest.fixture
def actor(owner: User) -> Actor:
    return Actor.person(owner, Role.VIEWER, "192.0.2.41")


def log() -> list[tuple[str, dict[str, object]]]:
    events = AuditEvent.objects.filter(project_id=SITE_LOG).order_by("number")
    return [(event.verb, event.changes) for event in events]


def accept(user: User, code: str, at: datetime) -> str:
    """Return the kind of factor that a code is taken for; "" where it is refused."""
    taken = second_factor.accept(user, code, actor=Actor.person(user, Role.VIEWER), at=at)
    return str(taken.type) if taken else ""


# On and off


def test_the_first_code_turns_it_on_and_gives_recovery_codes(owner: User, actor: Actor, at: datetime) -> None:
    app = App(second_factor.new_secret())
    assert not second_factor.has_second_factor(owner)
    codes = second_factor.turn_on(owner, app.secret, app.code(at), actor=actor, at=at)
    assert second_factor.has_second_factor(owner)
    assert len(set(codes)) == 10
    assert all(len(code) == 9 and code.replace("-", "").isdecimal() for code in codes)
    event = AuditEvent.objects.get(project_id=SITE_LOG)
    assert (event.verb, event.object_id, event.actor_label, event.address, event.changes) == (
        "person.second_factor_added", str(owner.pk), "Mara Lindqvist", "192.0.2.41", {},
    )  # fmt: skip


@pytest.mark.parametrize("code", ["", "abc", "１２３４５６", "0" * 40])
def test_no_other_code_turns_it_on(owner: User, actor: Actor, at: datetime, code: str) -> None:
    app = App(second_factor.new_secret())
    for wrong in (code, app.wrong_code()):
        with pytest.raises(ValidationError, match="That code isn't right"):
            second_factor.turn_on(owner, app.secret, wrong, actor=actor, at=at)
    assert not Authenticator.objects.exists()
    assert log() == []


def test_it_is_not_turned_on_twice(owner: User, actor: Actor, at: datetime) -> None:
    app = enrol(owner)
    with pytest.raises(AlreadyOn):
        second_factor.turn_on(owner, app.secret, app.code(at), actor=actor, at=at)
    assert accept(owner, app.code(at), at) == APP


def test_turning_it_off_leaves_nothing_of_it(owner: User, viewer: User, actor: Actor, at: datetime) -> None:
    app, others = enrol(owner), enrol(viewer)
    second_factor.turn_off(owner, actor=actor, at=at)
    assert not second_factor.has_second_factor(owner)
    assert not Authenticator.objects.filter(user=owner).exists()
    assert accept(owner, app.recovery_codes[0], at) == ""
    assert accept(viewer, others.code(at), at) == APP
    assert ("person.second_factor_removed", {}) in log()
    with pytest.raises(NoSecondFactor):
        second_factor.turn_off(owner, actor=actor, at=at)


def test_new_recovery_codes_end_the_old_ones(owner: User, actor: Actor, at: datetime) -> None:
    app = enrol(owner)
    assert accept(owner, app.recovery_codes[0], at) == CODES
    fresh = second_factor.make_codes(owner, actor=actor, at=at)
    assert not set(fresh) & set(app.recovery_codes)
    assert accept(owner, app.recovery_codes[1], at) == ""
    assert accept(owner, fresh[0], at) == CODES
    assert ("person.recovery_codes_made", {}) in log()


def test_there_are_no_recovery_codes_without_an_app(owner: User, actor: Actor, at: datetime) -> None:
    with pytest.raises(NoSecondFactor):
        second_factor.make_codes(owner, actor=actor, at=at)


@pytest.mark.parametrize("verb", ["on", "off", "codes", "accept"])
def test_a_verb_that_fails_at_any_write_leaves_nothing_behind(
    owner: User, actor: Actor, at: datetime, verb: str
) -> None:
    new = App(second_factor.new_secret())
    app = new if verb == "on" else enrol(owner)
    verbs: dict[str, Callable[[], object]] = {
        "on": lambda: second_factor.turn_on(owner, new.secret, new.code(at), actor=actor, at=at),
        "off": lambda: second_factor.turn_off(owner, actor=actor, at=at),
        "codes": lambda: second_factor.make_codes(owner, actor=actor, at=at),
        "accept": lambda: second_factor.accept(owner, app.recovery_codes[3], actor=actor, at=at),
    }

    def rows() -> tuple[object, ...]:
        factors = Authenticator.objects.order_by("pk").values_list("type", "data", "last_used_at")
        return repr(list(factors)), log()

    before = rows()
    for nth in range(20):
        try:
            with failing_at(nth):
                verbs[verb]()
        except DiskFull:
            assert rows() == before
        else:
            break
    assert 2 < nth < 19


# Codes


def test_a_code_is_taken_from_a_clock_that_differs_by_half_a_minute(owner: User, at: datetime) -> None:
    app = enrol(owner)
    for steps, taken in ((-2, ""), (2, ""), (-1, APP), (0, APP), (1, APP)):
        assert accept(owner, app.code(at, steps=steps), at) == taken


def test_a_code_works_once_and_none_before_it_later(owner: User, at: datetime) -> None:
    app = enrol(owner)
    code, before = app.code(at), app.code(at, steps=-1)
    assert accept(owner, code, at) == APP
    for later in (0, 1, 29, 31, 59):
        assert accept(owner, code, at + timedelta(seconds=later)) == ""
    assert accept(owner, before, at) == ""
    assert accept(owner, app.code(at, steps=1), at) == APP


def test_the_code_that_turned_it_on_does_not_sign_in(owner: User, actor: Actor, at: datetime) -> None:
    app = App(second_factor.new_secret())
    second_factor.turn_on(owner, app.secret, app.code(at), actor=actor, at=at)
    assert accept(owner, app.code(at), at) == ""
    assert accept(owner, app.code(at, steps=1), at) == APP


@pytest.mark.parametrize("write", ["{} {}", "{}-{}", " {}{} ", "{}\t{}"])
def test_blanks_and_hyphens_do_not_matter(owner: User, at: datetime, write: str) -> None:
    app = enrol(owner)
    code = app.code(at)
    assert accept(owner, write.format(code[:3], code[3:]), at) == APP
    recovery = app.recovery_codes[0].replace("-", "")
    assert accept(owner, write.format(recovery[:4], recovery[4:]), at) == CODES


def test_a_recovery_code_works_once_and_the_log_counts_them(owner: User, at: datetime) -> None:
    app = enrol(owner)
    for number, code in enumerate(app.recovery_codes, 1):
        assert accept(owner, code, at) == CODES
        assert accept(owner, code, at) == ""
        assert ("person.recovery_code_used", {"left": 10 - number}) in log()
        state = second_factor.second_factor_of(owner)
        assert state is not None
        assert (state.codes_left, state.codes) == (10 - number, 10)


@pytest.mark.parametrize("code", ["", "123", "abcdef", "١٢٣٤٥٦", "\U0001f511", "9" * 10_000])
def test_any_other_code_is_refused_and_recorded_without_it(owner: User, at: datetime, code: str) -> None:
    enrol(owner)
    assert accept(owner, code, at) == ""
    assert log()[-1] == ("person.sign_in_failed", {"factor": "code"})


def test_a_code_of_somebody_else_is_refused(owner: User, viewer: User, at: datetime) -> None:
    mine, theirs = enrol(owner), enrol(viewer)
    for code in (theirs.code(at), theirs.recovery_codes[0]):
        assert accept(owner, code, at) == ""
    assert accept(viewer, theirs.code(at), at) == APP
    assert accept(owner, mine.code(at), at) == APP


def test_no_code_is_taken_for_an_account_that_was_shut(owner: User, at: datetime) -> None:
    app = enrol(owner)
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert accept(owner, app.code(at), at) == ""


def test_nobody_without_a_second_factor_has_a_code(owner: User, at: datetime) -> None:
    assert accept(owner, "000000", at) == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("kind", [APP, CODES])
def test_of_two_who_send_one_code_at_once_one_comes_in(owner: User, at: datetime, kind: str) -> None:
    app = enrol(owner)
    code = app.code(at) if kind == APP else app.recovery_codes[0]
    won, errors = split(race(*[lambda: accept(owner, code, at)] * 4))
    assert not errors
    assert sorted(won) == ["", "", "", kind]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_turn_it_on_at_once_one_does(owner: User, actor: Actor, at: datetime) -> None:
    apps = [App(second_factor.new_secret()) for _ in range(3)]
    won, errors = split(
        race(
            *(
                lambda app=app: second_factor.turn_on(owner, app.secret, app.code(at), actor=actor, at=at)
                for app in apps
            )
        )
    )
    assert [len(codes) for codes in won] == [10]
    assert [type(error) for error in errors] == [AlreadyOn] * 2
    assert Authenticator.objects.filter(user=owner).count() == 2


@pytest.mark.django_db(transaction=True)
def test_saying_that_they_are_saved_brings_no_used_code_back(owner: User, at: datetime) -> None:
    app = enrol(owner)
    race(
        *(lambda code=code: accept(owner, code, at) for code in app.recovery_codes[:3]),
        *[lambda: str(second_factor.mark_saved(owner))] * 3,
    )
    state = second_factor.second_factor_of(owner)
    assert state is not None
    assert (state.codes_left, state.saved) == (7, True)


# What the pages ask


def test_it_says_since_when_and_how_many_codes_are_left(owner: User, at: datetime) -> None:
    assert second_factor.second_factor_of(owner) is None
    enrol(owner)
    state = second_factor.second_factor_of(owner)
    assert state is not None
    assert (state.last_used, state.codes_left, state.saved) == (None, 10, False)
    assert second_factor.mark_saved(owner)
    state = second_factor.second_factor_of(owner)
    assert state is not None
    assert state.saved


def test_a_file_is_made_of_current_codes_alone(owner: User, viewer: User, at: datetime) -> None:
    app, other = enrol(owner), enrol(viewer)
    assert second_factor.are_current(owner, app.recovery_codes)
    for codes in ([], app.recovery_codes[1:], other.recovery_codes, [*app.recovery_codes, "0000-0000"]):
        assert not second_factor.are_current(owner, codes)
    accept(owner, app.recovery_codes[0], at)
    assert not second_factor.are_current(owner, app.recovery_codes)


def test_it_counts_the_members_who_have_none(
    project: Project, owner: User, viewer: User, outsider: User
) -> None:
    assert second_factor.members_without(project) == 2
    enrol(owner)
    enrol(outsider)
    assert second_factor.members_without(project) == 1
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert second_factor.members_without(project) == 0


# Sealing


def row(user: User, kind: str) -> Authenticator:
    return Authenticator.objects.get(user=user, type=kind)


def test_neither_secret_nor_seed_stands_in_the_table(owner: User) -> None:
    app = enrol(owner)
    with connection.cursor() as cursor:
        cursor.execute("SELECT data FROM mfa_authenticator")
        stored = str(cursor.fetchall())
    assert app.secret not in stored
    for code in app.recovery_codes:
        assert code not in stored
        assert code.replace("-", "") not in stored
    with factor_sealing.sealing(owner.pk, APP):
        assert factor_sealing.unseal(row(owner, APP).data["secret"]) == app.secret


@pytest.mark.parametrize("kind", [APP, CODES])
def test_a_factor_moved_to_somebody_else_does_not_open(
    owner: User, viewer: User, at: datetime, kind: str
) -> None:
    app, _ = enrol(owner), enrol(viewer)
    mine, theirs = row(owner, kind), row(viewer, kind)
    theirs.data = mine.data
    theirs.save()
    code = app.code(at) if kind == APP else app.recovery_codes[0]
    with pytest.raises(SealingError, match="sealed for another place"):
        accept(viewer, code, at)


def test_a_seed_in_the_place_of_a_secret_does_not_open(owner: User, at: datetime) -> None:
    app = enrol(owner)
    mine = row(owner, APP)
    mine.data["secret"] = row(owner, CODES).data["seed"]
    mine.save()
    with pytest.raises(SealingError):
        accept(owner, app.code(at), at)


@pytest.mark.parametrize("sealed", ["", "JBSWY3DPEHPK3PXP", "not base 64!", "é"])
def test_what_was_never_sealed_does_not_open(owner: User, at: datetime, sealed: str) -> None:
    app = enrol(owner)
    mine = row(owner, APP)
    mine.data["secret"] = sealed
    mine.save()
    with pytest.raises(SealingError, match="not a sealed value"):
        accept(owner, app.code(at), at)


def test_nothing_is_sealed_or_opened_for_nobody(owner: User) -> None:
    enrol(owner)
    with pytest.raises(SealingError, match="Nobody said"):
        factor_sealing.seal("JBSWY3DPEHPK3PXP")
    with pytest.raises(SealingError, match="Nobody said"):
        factor_sealing.unseal(row(owner, APP).data["secret"])
