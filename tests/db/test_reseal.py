"""`manage.py reseal`: every sealed value goes to the newest key, and what doesn't open is named."""

import io
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command
from pytest_django import Settings

from keys import resealing
from keys.management.commands._keys import tables
from keys.models import Key, ProviderKey
from keys.providers import authorization_for
from keys.resealing import column_of, reseal
from keys.sealing import Keyring, SealingError
from projects import second_factor
from projects.audit import Actor
from projects.models import SITE_LOG, AuditEvent, Project, User
from tests.authenticator import App, enrol
from tests.factories import ProjectFactory, ProviderKeyFactory, UpstreamFactory

pytestmark = pytest.mark.django_db

OLD, NEW, LOST = b"o" * 32, b"n" * 32, b"l" * 32
TOKEN = "kr_live_canary"


@pytest.fixture(autouse=True)
def old_key_only(settings: Settings) -> None:
    settings.KEYRACK_SEALING_KEYS = (OLD,)


@pytest.fixture
def many(old_key_only: None, project: Project) -> Project:
    """A project with five provider keys, each with an upstream; its Automator Key is sealed as well."""
    seal(automator(project), OLD)
    for number in range(5):
        key = ProviderKeyFactory(project=project, name=f"Key {number}", secret=f"secret-{number}")
        UpstreamFactory(project=project, slug=f"u{number}", provider_key=key.public_id)
    return project


def automator(project: Project) -> Key:
    key: Key = project.keys.get(type="system")
    return key


def seal(key: Key, under: bytes) -> None:
    Key.objects.filter(pk=key.pk).update(sealed=Keyring((under,)).seal(TOKEN, key.seal_place))


def values(project: Project) -> list[str]:
    return [authorization_for(project, f"u{number}").value for number in range(5)]


def run() -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    call_command("reseal", stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def refused() -> tuple[int, str, list[str]]:
    """Run the command; return its code, its last words, and the lines that name rows."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("reseal", stdout=out, stderr=err)
    return failed.value.returncode, str(failed.value), err.getvalue().splitlines()


def test_it_moves_all_to_the_newest_key_and_the_older_one_can_go(many: Project, settings: Settings) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    assert run() == ("6 sealed values: 6 moved to the newest sealing key, 0 under it already.\n", "")
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    assert values(many) == [f"Bearer secret-{number}" for number in range(5)]
    key = automator(many)
    assert Keyring((NEW,)).open(bytes(key.sealed or b""), key.seal_place) == TOKEN
    assert run() == ("6 sealed values: 0 moved to the newest sealing key, 6 under it already.\n", "")


def test_it_changes_nothing_but_the_sealed_values(many: Project, settings: Settings) -> None:
    columns = [field.name for field in ProviderKey._meta.fields if field.name != "sealed"]
    before = list(ProviderKey.objects.order_by("pk").values_list(*columns)), automator(many).version
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    run()
    assert (list(ProviderKey.objects.order_by("pk").values_list(*columns)), automator(many).version) == before


def test_a_second_run_writes_nothing(many: Project) -> None:
    sealed = [bytes(key.sealed) for key in ProviderKey.objects.order_by("pk")]
    run()
    assert [bytes(key.sealed) for key in ProviderKey.objects.order_by("pk")] == sealed


def test_the_site_log_says_who_moved_how_many(many: Project, settings: Settings) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    run()
    event = AuditEvent.objects.filter(project_id=SITE_LOG).latest("number")
    assert (event.verb, event.changes) == ("sealing.moved", {"moved": 6, "unopened": 0})
    assert event.actor_label.startswith("command line (")
    assert event.object_id == Keyring((NEW,)).newest_id
    run()
    assert AuditEvent.objects.filter(project_id=SITE_LOG, verb="sealing.moved").count() == 1


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_run_that_is_killed_has_moved_what_it_has_moved_and_is_taken_up_again(
    many: Project, settings: Settings, at: datetime, monkeypatch: pytest.MonkeyPatch, killed_after: int
) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    monkeypatch.setattr(resealing, "_BATCH", 2)
    batches = []

    def killed(count: int) -> None:
        batches.append(count)
        if len(batches) == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(actor=Actor.system(), at=at, went_on=killed)
    # The Automator Key stands alone in the first batch, then two provider keys in each.
    moved = 1 + 2 * (killed_after - 1)
    assert values(many) == [f"Bearer secret-{number}" for number in range(5)]
    done = reseal(actor=Actor.system(), at=at)
    assert (done.moved, done.kept, done.unopened) == (6 - moved, moved, [])


def test_a_batch_that_fails_half_way_is_undone_as_a_whole(
    many: Project, settings: Settings, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    before = [bytes(key.sealed) for key in ProviderKey.objects.order_by("pk")]
    sealed: list[str] = []

    def fail(ring: Keyring, plaintext: str, place: Any) -> bytes:
        sealed.append(plaintext)
        if len(sealed) == 3:
            raise OSError("the disk is full")
        return whole(ring, plaintext, place)

    whole = Keyring.seal
    monkeypatch.setattr(Keyring, "seal", fail)
    with pytest.raises(OSError, match="the disk is full"):
        reseal(actor=Actor.system(), at=at)
    assert [bytes(key.sealed) for key in ProviderKey.objects.order_by("pk")] == before


def test_it_goes_on_past_what_does_not_open_and_names_it(many: Project, settings: Settings) -> None:
    lost = ProviderKey.objects.get(name="Key 1")
    ProviderKey.objects.filter(pk=lost.pk).update(sealed=Keyring((LOST,)).seal("x", lost.seal_place))
    moved = ProviderKey.objects.get(name="Key 3")
    ProviderKey.objects.filter(pk=moved.pk).update(header="x-evil")
    seal(automator(many), LOST)
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    missing = Keyring((LOST,)).newest_id
    changed = "The value was changed, or sealed for another place."
    assert refused() == (
        1,
        "3 values don't open: nothing of them was changed.",
        [
            f"acme: key “Automator Key” ({automator(many).key_id}): The sealing key {missing} is missing.",
            f"acme: provider key “Key 1” ({lost.public_id}): The sealing key {missing} is missing.",
            f"acme: provider key “Key 3” ({moved.public_id}): {changed}",
        ],
    )
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    assert [authorization_for(many, f"u{n}").value for n in (0, 2, 4)] == [
        "Bearer secret-0", "Bearer secret-2", "Bearer secret-4",
    ]  # fmt: skip


def test_what_was_given_anew_is_named_no_more(many: Project, settings: Settings) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    assert refused()[0] == 1
    ProviderKey.objects.all().delete()
    seal(automator(many), NEW)
    assert run() == ("1 sealed value: 0 moved to the newest sealing key, 1 under it already.\n", "")


def test_a_value_that_only_says_that_it_is_under_the_newest_key_is_named(many: Project) -> None:
    """Else somebody would throw the older keys away, and find out later."""
    key = ProviderKey.objects.get(name="Key 2")
    forged = bytes(key.sealed)[:20] + bytes(len(key.sealed) - 20)
    ProviderKey.objects.filter(pk=key.pk).update(sealed=forged)
    code, said, rows = refused()
    assert (code, said) == (1, "1 value doesn't open: nothing of them was changed.")
    assert rows == [
        f"acme: provider key “Key 2” ({key.public_id}): The value was changed, or sealed for another place."
    ]
    assert bytes(ProviderKey.objects.get(pk=key.pk).sealed) == forged


def test_keys_without_a_sealed_copy_are_left_alone(project: Project) -> None:
    Key.objects.update(sealed=None)
    assert run() == ("0 sealed values: 0 moved to the newest sealing key, 0 under it already.\n", "")


def test_a_deleted_project_s_values_are_moved_as_well(
    many: Project, settings: Settings, at: datetime
) -> None:
    Project.objects.filter(pk=many.pk).update(deleted_at=at)
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    assert run()[0].startswith("6 sealed values: 6 moved")


def test_it_says_how_far_it_is(many: Project, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    monkeypatch.setattr(resealing, "_BATCH", 2)
    monkeypatch.setattr(tables, "_EVERY", 0.0)
    assert run()[1].splitlines() == [f"{count} of 6 sealed values" for count in (1, 3, 5, 6)]


def test_a_further_kind_of_sealed_value_is_one_more_column(
    many: Project, settings: Settings, at: datetime
) -> None:
    """What comes later is moved by adding it to the columns: here, the provider keys of one project alone."""
    elsewhere = ProviderKeyFactory(project=ProjectFactory())
    rows: Callable[[], Any] = lambda: ProviderKey.objects.filter(project=many)  # noqa: E731
    column = replace(column_of(ProviderKey, "spare key", "public_id"), rows=rows)
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    assert resealing.count([column]) == 5
    assert reseal(actor=Actor.system(), at=at, columns=[column]).moved == 5
    with pytest.raises(SealingError):
        Keyring((NEW,)).open(bytes(ProviderKey.objects.get(pk=elsewhere.pk).sealed), elsewhere.seal_place)


def test_every_sealed_column_of_the_database_is_known() -> None:
    """A table that gets a column called `sealed` must be moved too."""
    from django.apps import apps

    known = {column.rows().model for column in resealing.COLUMNS}
    having = {
        model for model in apps.get_models() if any(field.name == "sealed" for field in model._meta.fields)
    }
    assert known == having | {Authenticator}


# Second factors


@pytest.fixture
def enrolled(project: Project, owner: User, viewer: User) -> dict[User, App]:
    """Two members with a second factor each: an app's secret and the seed of recovery codes."""
    Key.objects.update(sealed=None)
    return {owner: enrol(owner), viewer: enrol(viewer)}


def taken(user: User, code: str, at: datetime) -> str:
    """Return the kind of factor that a code is taken for; "" where it is refused."""
    factor = second_factor.accept(user, code, actor=Actor.system(), at=at)
    return factor.type if factor else ""


def test_second_factors_move_as_well_and_go_on_working(
    enrolled: dict[User, App], at: datetime, settings: Settings
) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    assert run() == ("4 sealed values: 4 moved to the newest sealing key, 0 under it already.\n", "")
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    assert run() == ("4 sealed values: 0 moved to the newest sealing key, 4 under it already.\n", "")
    for person, app in enrolled.items():
        assert taken(person, app.code(at), at) == second_factor.APP
        assert taken(person, app.recovery_codes[0], at) == second_factor.CODES


def test_what_was_spent_stays_spent(
    enrolled: dict[User, App], owner: User, at: datetime, settings: Settings
) -> None:
    app = enrolled[owner]
    assert taken(owner, app.code(at), at) == second_factor.APP
    assert taken(owner, app.recovery_codes[3], at) == second_factor.CODES
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    run()
    assert taken(owner, app.code(at), at) == taken(owner, app.recovery_codes[3], at) == ""


def test_a_second_factor_that_does_not_open_is_named_by_its_person(
    enrolled: dict[User, App], owner: User, viewer: User, settings: Settings
) -> None:
    seed = Authenticator.objects.get(user=owner, type=second_factor.CODES)
    app = Authenticator.objects.get(user=viewer, type=second_factor.APP)
    for factor, text in ((seed, "JBSWY3DPEHPK3PXP"), (app, None)):
        Authenticator.objects.filter(pk=factor.pk).update(data=factor.data | {"secret": text, "seed": text})
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    missing = f"The sealing key {Keyring((OLD,)).newest_id} is missing."
    unknown = "This is not a sealed value of a known format."
    assert refused() == (
        1,
        "4 values don't open: nothing of them was changed.",
        [
            f"mara@example.test: authenticator app: {missing}",
            f"mara@example.test: recovery codes: {unknown}",
            f"vera@example.test: authenticator app: {unknown}",
            f"vera@example.test: recovery codes: {missing}",
        ],
    )
    assert Authenticator.objects.get(pk=app.pk).data["secret"] is None


def test_one_that_was_removed_after_its_sealing_key_was_lost_is_named_no_more(
    enrolled: dict[User, App], at: datetime, settings: Settings
) -> None:
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    assert refused()[0] == 1
    for person in enrolled:
        second_factor.turn_off(person, actor=Actor.system(), at=at)
        enrol(person)
    assert run() == ("4 sealed values: 0 moved to the newest sealing key, 4 under it already.\n", "")


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_a_run_that_is_killed_among_them_is_taken_up_again(
    enrolled: dict[User, App], at: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch,
    killed_after: int,
) -> None:  # fmt: skip
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    monkeypatch.setattr(resealing, "_BATCH", 1)
    batches = []

    def killed(count: int) -> None:
        batches.append(count)
        if len(batches) == killed_after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reseal(actor=Actor.system(), at=at, went_on=killed)
    done = reseal(actor=Actor.system(), at=at)
    assert (done.moved, done.kept, done.unopened) == (4 - killed_after, killed_after, [])
