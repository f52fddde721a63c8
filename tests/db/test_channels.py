"""The verbs on a channel: create, edit, close; and who may which."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from keys import channels, lifecycle, tokens
from keys.channels import AlreadyClosed, Stale, close_channel, create_channel, edit_channel
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.permissions import KeyActor
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import Channel, ChannelKind, Project, Role, User
from tests.db.watching import events, everything, verbs, writes_of
from tests.factories import ChannelFactory, IssuedFactory, MembershipFactory, ProjectFactory, acting

pytestmark = pytest.mark.django_db

HOUR = timedelta(hours=1)


@pytest.fixture
def actor(project: Project, admin: User) -> Actor:
    return acting(admin, project, "192.0.2.41")


@pytest.fixture
def support(project: Project, actor: Actor, at: datetime) -> Channel:
    return create_channel(project, "Support bot", ChannelKind.TEAMS, actor=actor, at=at)


def key_of(channel: Channel, holder: str, **fields: Any) -> Issued:
    held = {"type": KeyType.CHANNEL, "channel": channel.slug, "holder": holder}
    return IssuedFactory(**{"project": channel.project, **held, **fields})


def refused(verb: Callable[[], object]) -> dict[str, list[str]]:
    """Run a verb that must be refused as bad input; return what is said, by field."""
    before = everything()
    with pytest.raises(ValidationError) as caught:
        verb()
    assert everything() == before
    return dict(caught.value.message_dict)


# Create


def test_a_channel_is_made_with_a_slug_of_its_name_and_an_event(
    project: Project, actor: Actor, at: datetime
) -> None:
    channel = create_channel(project, " Support  bot ", ChannelKind.WEB_WIDGET, actor=actor, at=at)
    channel = Channel.objects.of(project).get(pk=channel.pk)
    assert (channel.slug, channel.name, channel.name_folded) == ("support-bot", "Support bot", "support bot")
    assert (channel.kind, channel.created_at, channel.version) == ("web-widget", at, 1)
    assert (channel.created_by_label, channel.closed_at) == ("Ada Okafor", None)
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label) == (
        "channel.created", "channel", "support-bot", "Support bot",
    )  # fmt: skip
    assert (event.actor_label, event.address, event.changes) == (
        "Ada Okafor", "192.0.2.41", {"kind": "web-widget"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Support bot", "support-bot"),
        ("Ärger & Söhne", "arger-sohne"),
        ("مزامنة", "channel"),
        ("🤖", "channel"),
        ("_a__b_", "a--b"),
        ("x" * 100, "x" * 40),
        ("new", "new"),
    ],
)
def test_a_slug_is_made_of_what_a_slug_can_hold(
    project: Project, actor: Actor, at: datetime, name: str, slug: str
) -> None:
    channel = create_channel(project, name, ChannelKind.CUSTOM, actor=actor, at=at)
    assert channel.slug == slug
    channel.full_clean(exclude=["name_folded"])


def test_a_slug_is_never_used_again(project: Project, actor: Actor, at: datetime) -> None:
    slugs = []
    for _ in range(3):
        channel = create_channel(project, "Support bot", ChannelKind.TEAMS, actor=actor, at=at)
        slugs.append(channel.slug)
        close_channel(project, channel.slug, actor=actor, at=at)
    assert slugs == ["support-bot", "support-bot-2", "support-bot-3"]
    elsewhere = ProjectFactory()
    other = create_channel(elsewhere, "Support bot", ChannelKind.TEAMS, actor=Actor.system(), at=at)
    assert other.slug == "support-bot"


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("", "teams", {"name": ["Enter a name."]}),
        (" \t", "teams", {"name": ["Use letters, digits, blanks and punctuation that can be seen."]}),
        ("x" * 101, "teams", {"name": ["Use 100 characters or fewer."]}),
        ("a\u200bb", "teams", {"name": ["Use letters, digits, blanks and punctuation that can be seen."]}),
        ("a\0b", "teams", {"name": ["Use letters, digits, blanks and punctuation that can be seen."]}),
        ("Bot", "fax", {"kind": ["Choose a kind of channel."]}),
        ("Bot", "", {"kind": ["Choose a kind of channel."]}),
        ("Bot", "TEAMS", {"kind": ["Choose a kind of channel."]}),
        ("", "fax", {"name": ["Enter a name."], "kind": ["Choose a kind of channel."]}),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_by_field(
    project: Project, actor: Actor, at: datetime, support: Channel, name: str, kind: str,
    said: dict[str, list[str]],
) -> None:  # fmt: skip
    assert refused(lambda: create_channel(project, name, kind, actor=actor, at=at)) == said
    edit = partial(edit_channel, project, "support-bot", actor=actor, at=at, version=1)
    assert refused(lambda: edit(name=name, kind=kind)) == said


def test_a_token_in_a_name_is_refused_and_not_repeated(project: Project, actor: Actor, at: datetime) -> None:
    token = tokens.generate("live").text
    said = refused(lambda: create_channel(project, f"bot {token}", "teams", actor=actor, at=at))
    assert list(said) == ["name"]
    assert token[8:] not in repr(said)


@pytest.mark.parametrize("name", ["Support bot", "SUPPORT BOT", " support  bot", "Ｓupport bot"])
def test_a_name_that_another_open_channel_has_is_refused(
    project: Project, actor: Actor, at: datetime, support: Channel, name: str
) -> None:
    said = {"name": ["Another channel is called “Support bot”."]}
    assert refused(lambda: create_channel(project, name, "slack", actor=actor, at=at)) == said
    other = create_channel(project, "Other", "slack", actor=actor, at=at)
    edit = partial(edit_channel, project, other.slug, actor=actor, at=at, version=1)
    assert refused(lambda: edit(name=name, kind="slack")) == said


def test_a_name_is_free_again_once_its_channel_is_closed(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    close_channel(project, support.slug, actor=actor, at=at)
    assert create_channel(project, "support BOT", "slack", actor=actor, at=at).slug == "support-bot-2"


def test_creating_is_whole_or_not_there_whichever_write_fails(
    project: Project, actor: Actor, at: datetime
) -> None:
    # Channel, event, head.
    assert writes_of(lambda: create_channel(project, "Bot", "teams", actor=actor, at=at)) == 3


# Edit


def test_an_edit_changes_name_and_kind_and_says_so(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    edited = edit_channel(
        project, "support-bot", name="Help bot", kind="slack", actor=actor, at=at, version=1
    )
    stored = Channel.objects.get(pk=support.pk)
    assert (stored.slug, stored.name, stored.name_folded, stored.kind, stored.version) == (
        "support-bot", "Help bot", "help bot", "slack", 2,
    )  # fmt: skip
    assert edited.version == 2
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.object_label) == ("channel.edited", "support-bot", "Help bot")
    assert event.changes == {"name": ["Support bot", "Help bot"], "kind": ["teams", "slack"]}


def test_an_edit_says_only_what_it_changed_and_keeps_its_own_name(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    edit_channel(project, "support-bot", name="SUPPORT bot", kind="teams", actor=actor, at=at, version=1)
    assert events(project)[-1].changes == {"name": ["Support bot", "SUPPORT bot"]}


def test_an_edit_that_changes_nothing_writes_nothing(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    before = everything()
    edit_channel(project, "support-bot", name="Support bot", kind="teams", actor=actor, at=at, version=1)
    assert everything() == before


def test_a_stale_edit_is_refused_and_says_who_was_first(
    project: Project, actor: Actor, owner: User, at: datetime, support: Channel
) -> None:
    mara = acting(owner, project)
    edit_channel(project, "support-bot", name="Help bot", kind="slack", actor=mara, at=at, version=1)
    before = everything()
    with pytest.raises(Stale) as caught:
        edit_channel(project, "support-bot", name="Desk", kind="teams", actor=actor, at=at, version=1)
    assert str(caught.value) == (
        "Mara Lindqvist changed this channel meanwhile. It is called “Help bot” (Slack) now."
    )
    assert caught.value.channel.version == 2
    assert everything() == before


# Close


def test_closing_ends_every_key_of_the_channel_and_no_other(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    other = ChannelFactory(project=project, slug="website", name="Website")
    ours = [key_of(support, holder, at=at) for holder in ("Nora", "Ben", "The shop")]
    expired = key_of(support, "Gone", at=at - 2 * HOUR, expires_at=at - HOUR)
    gone = key_of(support, "Left", at=at)
    lifecycle.revoke(project, gone.key.key_id, actor=actor, at=at, reason="Left")
    theirs, free = key_of(other, "Nora", at=at), IssuedFactory(project=project, at=at)
    assert close_channel(project, "support-bot", actor=actor, at=at) == 4
    for issued in ours:
        assert check(issued.token, at=at, channel="support-bot").outcome is Outcome.REVOKED
    for issued in (*ours, expired):
        key = Key.objects.get(pk=issued.key.pk)
        assert (key.revoked_at, key.revoked_by_label, key.revoked_reason) == (
            at, "Ada Okafor", "Channel closed",
        )  # fmt: skip
    assert Key.objects.get(pk=gone.key.pk).revoked_reason == "Left"
    assert check(theirs.token, at=at, channel="website").is_valid
    assert check(free.token, at=at).is_valid
    stored = Channel.objects.get(pk=support.pk)
    assert (stored.closed_at, stored.version) == (at, 2)
    assert not Channel.objects.of(project).filter(pk=support.pk).exists()


def test_closing_leaves_an_event_for_the_channel_and_for_each_key(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    for holder in ("Nora", "Ben"):
        key_of(support, holder, at=at)
    before = len(events(project))
    close_channel(project, "support-bot", actor=actor, at=at)
    assert verbs(project)[before:] == ["key.revoked", "key.revoked", "channel.closed"]
    event = events(project)[-1]
    assert (event.object_kind, event.object_id, event.object_label, event.changes) == (
        "channel", "support-bot", "Support bot", {"keys": 2},
    )  # fmt: skip


def test_a_channel_without_keys_closes_too(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    assert close_channel(project, "support-bot", actor=actor, at=at) == 0
    assert events(project)[-1].changes == {"keys": 0}


def test_closing_is_whole_or_not_done_whichever_write_fails(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    for holder in ("Nora", "Ben"):
        key_of(support, holder, at=at)
    # The channel; for each of two keys: key, event, head; then event and head of its own.
    assert writes_of(lambda: close_channel(project, "support-bot", actor=actor, at=at)) == 9


def test_what_is_closed_stays_so_and_the_verbs_say_by_whom(
    project: Project, actor: Actor, owner: User, at: datetime, support: Channel
) -> None:
    close_channel(project, "support-bot", actor=acting(owner, project), at=at)
    before = everything()
    edit = partial(edit_channel, project, "support-bot", actor=actor, at=at, version=2)
    late: list[Callable[[], object]] = [
        lambda: close_channel(project, "support-bot", actor=actor, at=at),
        lambda: edit(name="Again", kind="teams"),
        lambda: channels.refuse_closed(Channel.objects.get(pk=support.pk)),
    ]
    for verb in late:
        with pytest.raises(AlreadyClosed, match="Mara Lindqvist already closed Support bot"):
            verb()
    said = refused(lambda: key_of(support, "Nora", at=at))
    assert said == {"channel": ["There is no such channel here."]}
    assert everything() == before


# Where, and who


def test_a_channel_of_another_project_is_not_there(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    elsewhere = ProjectFactory()
    system = Actor.system()
    with pytest.raises(Channel.DoesNotExist):
        close_channel(elsewhere, "support-bot", actor=system, at=at)
    with pytest.raises(Channel.DoesNotExist):
        edit_channel(elsewhere, "support-bot", name="x", kind="teams", actor=system, at=at, version=1)
    said = refused(lambda: key_of(support, "Nora", project=elsewhere, at=at))
    assert said == {"channel": ["There is no such channel here."]}


def test_a_deleted_project_has_no_channels_made_or_ended(
    project: Project, actor: Actor, at: datetime, support: Channel
) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    for verb in (
        lambda: create_channel(project, "Bot", "teams", actor=actor, at=at),
        lambda: close_channel(project, "support-bot", actor=actor, at=at),
    ):
        with pytest.raises(ValidationError, match="This project was deleted"):
            verb()


def _verbs(project: Project, actor: Actor, at: datetime) -> dict[str, Callable[[], object]]:
    return {
        "create": lambda: create_channel(project, "Website", "web-widget", actor=actor, at=at),
        "edit": lambda: edit_channel(
            project, "support-bot", name="Help bot", kind="teams", actor=actor, at=at, version=1
        ),
        "close": lambda: close_channel(project, "support-bot", actor=actor, at=at),
    }


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("verb", ["create", "edit", "close"])
def test_admins_and_owners_make_rename_and_close_channels(
    project: Project, support: Channel, at: datetime, role: Role, verb: str
) -> None:
    who = acting(MembershipFactory(project=project, role=role).user, project)
    act = _verbs(project, who, at)[verb]
    if role >= Role.ADMIN:
        act()
        return
    before = everything()
    with pytest.raises(PermissionDenied, match="Ask an admin to do that"):
        act()
    assert everything() == before


@pytest.mark.parametrize("verb", ["create", "edit", "close"])
def test_a_key_may_none_of_it_whatever_it_may_do(
    project: Project, support: Channel, at: datetime, verb: str
) -> None:
    boss = IssuedFactory(project=project, type=KeyType.PRIVILEGED, at=at).key
    before = everything()
    with pytest.raises(PermissionDenied):
        _verbs(project, KeyActor.acting(boss), at)[verb]()
    assert everything() == before


@pytest.mark.parametrize("role", Role)
def test_operators_issue_and_revoke_the_keys_of_a_channel(
    project: Project, support: Channel, at: datetime, role: Role
) -> None:
    who = acting(MembershipFactory(project=project, role=role).user, project)
    somebody = key_of(support, "Nora", at=at).key
    acts: list[Callable[[], object]] = [
        lambda: key_of(support, "Ben", actor=who, at=at),
        lambda: lifecycle.revoke(project, somebody.key_id, actor=who, at=at),
    ]
    for act in acts:
        if role >= Role.OPERATOR:
            act()
        else:
            with pytest.raises(PermissionDenied):
                act()
