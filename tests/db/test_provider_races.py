"""Provider keys and upstreams that several people change at the same time, in real threads."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from keys import providers, resealing
from keys.models import ProviderKey, Upstream
from keys.provider_drafts import ProviderDraft, ProviderEdit
from keys.providers import Stale, authorization_for
from keys.sealing import Keyring
from projects import audit, second_factor
from projects.audit import Actor
from projects.models import Project, User
from tests.authenticator import enrol
from tests.db.racing import race, split
from tests.db.watching import events, verbs
from tests.factories import ProviderKeyFactory, UpstreamFactory, acting

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4
RACERS = 4
OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture(autouse=True)
def slow_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen the time between what a verb reads and what it writes: without a lock, all would pass."""

    def slowed(write: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.01)
            return write(*args, **kwargs)

        return slow

    for name in ("_write", "_selected"):
        monkeypatch.setattr(providers, name, slowed(getattr(providers, name)))
    monkeypatch.setattr(audit.Log, "record", slowed(audit.Log.record))
    monkeypatch.setattr(Keyring, "seal", slowed(Keyring.seal))


@pytest.fixture
def actor(project: Project, admin: User) -> Actor:
    return acting(admin, project)


@pytest.fixture(autouse=True)
def gapless(project: Project) -> Iterator[None]:
    yield
    assert audit.verify(project.pk) == []
    assert audit.head(project.pk)[0] == len(verbs(project))


def test_of_those_who_edit_one_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        key = ProviderKeyFactory(project=project)
        edit = partial(providers.edit_provider_key, project, key.public_id, actor=actor, at=at, version=1)
        edits = [ProviderEdit(name=f"{turn} {n}", secret=f"secret-{n}") for n in range(RACERS)]
        won, told = split(race(*[partial(edit, changes) for changes in edits]))
        assert len(won) == 1
        assert [type(each) for each in told] == [Stale] * (RACERS - 1), told
        stored = ProviderKey.objects.get(pk=key.pk)
        assert (stored.name, stored.version) == (won[0].name, 2)
        # Name and value are of the same editor.
        UpstreamFactory(project=project, slug=f"u{turn}", provider_key=key.public_id)
        assert authorization_for(project, f"u{turn}").value == f"Bearer secret-{stored.name[-1]}"


def test_of_those_who_take_one_name_one_does(project: Project, actor: Actor, at: datetime) -> None:
    drafts = [ProviderDraft(name, "openai", "x") for name in ("Main", "MAIN", " main ", "Ｍain")]
    create = partial(providers.create_provider_key, project, actor=actor, at=at)
    won, told = split(race(*[partial(create, draft) for draft in drafts]))
    assert len(won) == 1
    assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told
    assert ProviderKey.objects.count() == 1


def test_of_those_who_name_an_upstream_alike_one_does(project: Project, actor: Actor, at: datetime) -> None:
    create = partial(providers.create_upstream, project, "gpt-5", actor=actor, at=at)
    won, told = split(race(*[create] * RACERS))
    assert len(won) == 1
    assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told


def test_the_last_place_is_taken_once(
    project: Project, actor: Actor, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(providers, "MOST_PROVIDER_KEYS", 1)
    create = partial(providers.create_provider_key, project, actor=actor, at=at)
    drafts = [ProviderDraft(f"Key {n}", "openai", "x") for n in range(RACERS)]
    won, told = split(race(*[partial(create, draft) for draft in drafts]))
    assert (len(won), len(told)) == (1, RACERS - 1)


def test_of_those_who_select_a_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    keys = [ProviderKeyFactory(project=project) for _ in range(RACERS)]
    UpstreamFactory(project=project, slug="gpt-5")
    select = partial(providers.select_provider_key, project, "gpt-5", actor=actor, at=at, version=1)
    won, told = split(race(*[partial(select, key.public_id) for key in keys]))
    assert len(won) == 1
    assert [type(each) for each in told] == [Stale] * (RACERS - 1), told
    assert Upstream.objects.get().provider_key == won[0].provider_key


def test_a_key_that_is_deleted_while_it_is_selected_leaves_nothing_dangling(
    project: Project, actor: Actor, at: datetime
) -> None:
    for turn in range(ROUNDS):
        key, slug = ProviderKeyFactory(project=project), f"model-{turn}"
        UpstreamFactory(project=project, slug=slug)
        results: list[Any] = race(
            partial(providers.delete_provider_key, project, key.public_id, actor=actor, at=at),
            partial(
                providers.select_provider_key, project, slug, key.public_id, actor=actor, at=at, version=1
            ),
        )
        assert not ProviderKey.objects.filter(pk=key.pk).exists()
        assert Upstream.objects.get(slug=slug).provider_key is None
        # Whoever came second was told: the one that it was used, the other that it is gone.
        deletion, selection = results
        event = [event for event in events(project) if event.verb == "provider_key.deleted"][-1]
        if isinstance(selection, ValidationError):
            assert selection.message_dict == {"provider_key": ["There is no such provider key here."]}
            assert event.changes == {"upstreams": [[], []]}
        else:
            assert deletion == [slug]
            assert event.changes == {"upstreams": [[slug], []]}


def test_of_those_who_delete_a_key_one_does(project: Project, actor: Actor, at: datetime) -> None:
    key = ProviderKeyFactory(project=project)
    delete = partial(providers.delete_provider_key, project, key.public_id, actor=actor, at=at)
    won, told = split(race(*[delete] * RACERS))
    assert len(won) == 1
    assert [type(each) for each in told] == [ProviderKey.DoesNotExist] * (RACERS - 1), told


# Resealing beside it


def test_two_runs_at_once_move_each_value_once_and_lose_none(
    project: Project, at: datetime, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.KEYRACK_SEALING_KEYS = (OLD,)
    automator = project.keys.get(type="system")
    resealed = Keyring((OLD,)).seal("kr_token", automator.seal_place)
    type(automator).objects.filter(pk=automator.pk).update(sealed=resealed)
    for number in range(12):
        key = ProviderKeyFactory(project=project, secret=f"secret-{number}")
        UpstreamFactory(project=project, slug=f"u{number}", provider_key=key.public_id)
    settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
    monkeypatch.setattr(resealing, "_BATCH", 3)
    reseal = partial(resealing.reseal, actor=Actor.system(), at=at)
    won, told = split(race(*[reseal] * RACERS))
    assert told == []
    assert sum(done.moved for done in won) == 13
    assert all(done.total == 13 for done in won)
    assert not any(done.unopened for done in won)
    settings.KEYRACK_SEALING_KEYS = (NEW,)
    for number in range(12):
        assert authorization_for(project, f"u{number}").value == f"Bearer secret-{number}"


def test_a_code_that_is_spent_while_its_factor_is_moved_is_spent_and_the_factor_is_moved(
    owner: User, at: datetime, settings: Settings
) -> None:
    for turn in range(ROUNDS):
        settings.KEYRACK_SEALING_KEYS = (OLD,)
        resealing.reseal(actor=Actor.system(), at=at)
        if turn:
            second_factor.turn_off(owner, actor=Actor.system(), at=at)
        app = enrol(owner, at)
        settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
        spend = partial(second_factor.accept, owner, actor=Actor.system(), at=at)
        calls: list[Callable[[], Any]] = [
            partial(spend, app.code(at)),
            partial(spend, app.recovery_codes[turn]),
            partial(resealing.reseal, actor=Actor.system(), at=at),
            partial(resealing.reseal, actor=Actor.system(), at=at),
        ]
        won, told = split(race(*calls))
        assert told == []
        assert None not in won
        settings.KEYRACK_SEALING_KEYS = (NEW,)
        assert spend(app.code(at)) is None
        assert spend(app.recovery_codes[turn]) is None
        assert spend(app.recovery_codes[turn + 1]) is not None


def test_a_value_that_is_replaced_meanwhile_is_the_new_one(
    project: Project, actor: Actor, at: datetime, settings: Settings
) -> None:
    for turn in range(ROUNDS):
        settings.KEYRACK_SEALING_KEYS = (OLD,)
        resealing.reseal(actor=actor, at=at)
        key = ProviderKeyFactory(project=project, secret="first-one")
        UpstreamFactory(project=project, slug=f"u{turn}", provider_key=key.public_id)
        settings.KEYRACK_SEALING_KEYS = (NEW, OLD)
        changes = ProviderEdit(secret="second-one", header=f"x-key-{turn}", prefix="")
        edit = partial(
            providers.edit_provider_key, project, key.public_id, changes, actor=actor, at=at, version=1
        )
        calls: list[Callable[[], Any]] = [edit, partial(resealing.reseal, actor=actor, at=at)]
        assert split(race(*calls))[1] == []
        settings.KEYRACK_SEALING_KEYS = (NEW,)
        found = authorization_for(project, f"u{turn}")
        assert (found.header, found.value) == (f"x-key-{turn}", "second-one")
        Upstream.objects.filter(slug=f"u{turn}").delete()
        ProviderKey.objects.filter(pk=key.pk).delete()
