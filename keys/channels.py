"""The verbs on a channel, and the only writer of Channel. Its keys are issued by `keys.lifecycle`.

Each verb locks the head of the project's audit log first, as issuing a key does: a channel is closed before
a key is issued into it or after, and no key is left that lives in a closed channel.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from django.core.exceptions import ValidationError

from keys.drafts import cleaned
from keys.lifecycle import revoke_all_of
from projects import audit
from projects.lifecycle import opened
from projects.models import AuditEvent, Channel, ChannelKind, Project, Role
from projects.names import clean_name, fold, free_slug

# Why the keys of a closed channel have ended, as the revoked table says it.
CLOSED: Final = "Channel closed"


class Conflict(Exception):
    """The verb came too late or a second time; nothing was changed."""

    def __init__(self, message: str, channel: Channel) -> None:
        super().__init__(message)
        self.channel = channel


class AlreadyClosed(Conflict):
    """The channel was closed before."""


class Stale(Conflict):
    """The channel was changed since it was read: its `version` is another one now."""


def create_channel(project: Project, name: str, kind: str, *, actor: audit.Actor, at: datetime) -> Channel:
    """Return a new channel. Its slug is made from the name, and is never used for another one.

    Raises ValidationError (name, kind; the project was deleted), PermissionDenied below admin and for a
    key. Locks the head of the project's log.
    """
    with opened(project, actor, at, least=Role.ADMIN) as (log, current):
        channel = Channel(project=current, created_at=at, created_by_label=actor.label)
        _describe(channel, name, kind)
        channel.slug = free_slug(channel.name, Channel.objects.filter(project=current), otherwise="channel")
        channel.save(force_insert=True)
        log.record("channel.created", "channel", channel.slug, channel.name, kind=channel.kind)
    return channel


def edit_channel(
    project: Project, slug: str, *, name: str, kind: str, actor: audit.Actor, at: datetime, version: int
) -> Channel:
    """Change what a channel is called and of which kind it is, and return it; its slug stays.

    `version` is the one that the actor saw: Stale where it is another by now. An edit that changes nothing
    writes nothing. Raises Channel.DoesNotExist, AlreadyClosed, Stale, ValidationError (name, kind; the
    project was deleted), PermissionDenied below admin and for a key. Locks the head of the project's log,
    then the channel.
    """
    with _held(project, slug, actor, at) as (log, channel):
        if channel.version != version:
            raise Stale(_overtaken(channel), channel)
        before = {"name": channel.name, "kind": channel.kind}
        _describe(channel, name, kind)
        after = {"name": channel.name, "kind": channel.kind}
        changed = {each: [before[each], after[each]] for each in after if before[each] != after[each]}
        if changed:
            _save(channel, "name", "name_folded", "kind")
            log.record("channel.edited", "channel", channel.slug, channel.name, **changed)
    return channel


def close_channel(project: Project, slug: str, *, actor: audit.Actor, at: datetime) -> int:
    """End a channel with every key of it, for good and in one transaction; return how many keys ended.

    Raises Channel.DoesNotExist, AlreadyClosed, ValidationError (the project was deleted), PermissionDenied
    below admin and for a key. Locks the head of the project's log, then the channel, then its keys by id.
    """
    with _held(project, slug, actor, at) as (log, channel):
        channel.closed_at = at
        _save(channel, "closed_at")
        ended = revoke_all_of(channel, log, actor=actor, at=at, reason=CLOSED)
        log.record("channel.closed", "channel", channel.slug, channel.name, keys=ended)
    return ended


def refuse_closed(channel: Channel) -> None:
    """Raise AlreadyClosed, which says by whom, for a channel that is closed."""
    if channel.closed_at is not None:
        raise AlreadyClosed(f"{_who(channel, 'channel.closed')} already closed {channel.name}.", channel)


@contextmanager
def _held(
    project: Project, slug: str, actor: audit.Actor, at: datetime
) -> Iterator[tuple[audit.Log, Channel]]:
    with opened(project, actor, at, least=Role.ADMIN) as (log, current):
        channel = Channel.objects.select_for_update().get(project=current, slug=slug)
        refuse_closed(channel)
        yield log, channel


def _save(channel: Channel, *columns: str) -> None:
    channel.version += 1
    channel.save(update_fields=[*columns, "version"])


def _describe(channel: Channel, name: str, kind: str) -> None:
    """Give the channel its name and kind, unsaved. Raises ValidationError with all that is wrong."""
    errors: dict[str, Any] = {}
    for put, value in ((_put_name, name), (_put_kind, kind)):
        try:
            put(channel, value)
        except ValidationError as error:
            errors = error.update_error_dict(errors)
    if errors:
        raise ValidationError(errors)


def _put_name(channel: Channel, name: str) -> None:
    channel.name = cleaned("name", clean_name, name)
    channel.name_folded = fold(channel.name)
    others = Channel.objects.of(channel.project).filter(name_folded=channel.name_folded)
    if other := others.exclude(pk=channel.pk).first():
        raise ValidationError({"name": f"Another channel is called “{other.name}”."})


def _put_kind(channel: Channel, kind: str) -> None:
    if kind not in ChannelKind.values:
        raise ValidationError({"kind": "Choose a kind of channel."})
    channel.kind = kind


def _overtaken(channel: Channel) -> str:
    who, kind = _who(channel, "channel.edited"), channel.get_kind_display()
    return f"{who} changed this channel meanwhile. It is called “{channel.name}” ({kind}) now."


def _who(channel: Channel, verb: str) -> str:
    """Return who did this to the channel last, as the log says it."""
    about = {"project_id": channel.project_id, "object_kind": "channel", "object_id": channel.slug}
    event = AuditEvent.objects.filter(**about, verb=verb).order_by("-number").first()
    return event.actor_label if event else "Somebody"
