"""Channels and their keys at the same time, in real threads with connections of their own."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from keys import channels, lifecycle, writing
from keys.channels import AlreadyClosed, Stale, close_channel, create_channel, edit_channel
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects import audit
from projects.audit import Actor
from projects.models import Channel, Project, User
from tests.db.racing import race, split
from tests.db.watching import verbs
from tests.factories import ChannelFactory, acting

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS = 4
RACERS = 4


@pytest.fixture(autouse=True)
def slow_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widen the time between what a verb reads and what it writes: without a lock, all would pass."""

    def slowed(write: Callable[..., Any]) -> Callable[..., Any]:
        def slow(*args: Any, **kwargs: Any) -> Any:
            time.sleep(0.01)
            return write(*args, **kwargs)

        return slow

    monkeypatch.setattr(writing, "insert", slowed(writing.insert))
    monkeypatch.setattr(channels, "_save", slowed(channels._save))
    monkeypatch.setattr(channels, "revoke_all_of", slowed(lifecycle.revoke_all_of))
    monkeypatch.setattr(audit.Log, "record", slowed(audit.Log.record))


@pytest.fixture
def actor(project: Project, admin: User) -> Actor:
    return acting(admin, project)


@pytest.fixture(autouse=True)
def gapless(project: Project) -> Iterator[None]:
    """Whoever wins: at the end of each race the chain holds, and no number is missing."""
    yield
    assert audit.verify(project.pk) == []
    assert audit.head(project.pk)[0] == len(verbs(project))


def issuing(
    project: Project, channel: Channel, holder: str, actor: Actor, at: datetime
) -> Callable[[], Issued | int]:
    draft = Draft(f"{holder.strip()} in {channel.slug}", KeyType.CHANNEL, channel=channel.slug, holder=holder)
    return partial(lifecycle.issue, project, draft, actor=actor, at=at)


def test_no_key_lives_in_a_channel_that_was_closed_while_keys_were_issued(
    project: Project, actor: Actor, at: datetime
) -> None:
    early = 0
    for turn in range(2 * ROUNDS):
        channel = ChannelFactory(project=project, slug=f"bot-{turn}", name=f"Bot {turn}")
        calls = [issuing(project, channel, f"Holder {n}", actor, at) for n in range(RACERS)]
        close: Callable[[], Issued | int] = partial(close_channel, project, channel.slug, actor=actor, at=at)
        *issued, ended = race(*calls, close)
        won, told = split(issued)
        for error in told:
            assert isinstance(error, ValidationError), error
            assert error.message_dict == {"channel": ["There is no such channel here."]}
        # Closing ended each key that came before it, and counted it.
        assert ended == len(won)
        early += len(won)
        for each in won:
            assert isinstance(each, Issued)
            assert check(each.token, at=at, channel=channel.slug).outcome is Outcome.REVOKED
        assert not Key.objects.filter(channel=channel, revoked_at=None).exists()
    assert verbs(project).count("key.revoked") == early


def test_of_those_who_hold_it_at_once_one_gets_a_key(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        channel = ChannelFactory(project=project, slug=f"bot-{turn}", name=f"Bot {turn}")
        holders = ["Nora Ek", "NORA EK", " nora  ek", "Ｎora Ek"]
        calls = [
            partial(
                lifecycle.issue,
                project,
                Draft(f"Key {turn} {n}", KeyType.CHANNEL, channel=channel.slug, holder=holder),
                actor=actor,
                at=at,
            )
            for n, holder in enumerate(holders)
        ]
        won, told = split(race(*calls))
        assert len(won) == 1
        assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told
        key = won[0].key
        for error in told:
            assert isinstance(error, ValidationError)
            said = f"{key.holder} holds a key of {channel.name} already: “{key.name}”."
            assert error.message_dict == {"holder": [said]}
        assert Key.objects.filter(channel=channel).count() == 1


def test_of_those_who_close_one_channel_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        channel = ChannelFactory(project=project, slug=f"bot-{turn}", name=f"Bot {turn}")
        issuing(project, channel, "Nora", actor, at)()
        close = partial(close_channel, project, channel.slug, actor=actor, at=at)
        won, told = split(race(*[close] * RACERS))
        assert won == [1]
        assert [type(each) for each in told] == [AlreadyClosed] * (RACERS - 1), told
    assert verbs(project).count("channel.closed") == ROUNDS


def test_of_those_who_edit_one_channel_one_does(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        channel = ChannelFactory(project=project, slug=f"bot-{turn}", name=f"Bot {turn}")
        edit = partial(edit_channel, project, channel.slug, kind="slack", actor=actor, at=at, version=1)
        won, told = split(race(*[partial(edit, name=f"Bot {turn} {n}") for n in range(RACERS)]))
        assert [type(each) for each in told] == [Stale] * (RACERS - 1), told
        assert Channel.objects.get(pk=channel.pk).name == won[0].name


def test_of_those_with_one_name_one_makes_a_channel(project: Project, actor: Actor, at: datetime) -> None:
    for turn in range(ROUNDS):
        names = [f"bot {turn}", f"BOT {turn}", f" Bot  {turn}", f"Ｂot {turn}"]
        create = partial(create_channel, project, kind="teams", actor=actor, at=at)
        won, told = split(race(*[partial(create, name) for name in names]))
        assert [type(each) for each in told] == [ValidationError] * (RACERS - 1), told
        assert [each.slug for each in won] == [f"bot-{turn}"]


def test_channels_whose_names_make_one_slug_each_get_their_own(
    project: Project, actor: Actor, at: datetime
) -> None:
    create = partial(create_channel, project, kind="teams", actor=actor, at=at)
    won, told = split(race(*[partial(create, name) for name in ("Bot!", "Bot", "Bot?", "(Bot)")]))
    assert told == []
    assert sorted(each.slug for each in won) == ["bot", "bot-2", "bot-3", "bot-4"]
