"""What somebody wants a key to be, and whether a key can be that: the rules on a key's own values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar

from django.core.exceptions import ValidationError

from config.redaction import holds_token
from keys import networks, rates
from keys.kinds import (
    AGENT_LIFETIME,
    AGENT_SCOPES,
    NEVER_EXPIRES,
    NOTE_LENGTH,
    PICKS_SCOPES,
    Environment,
    KeyType,
)
from keys.models import Key
from keys.scopes import Grant, join
from projects.models import SLUG_LENGTH, Channel, Project
from projects.names import clean_name, clean_text, fold

T = TypeVar("T")

AGENT_END: Final = f"An agent key ends {AGENT_LIFETIME.days} days after it's created, and can't be extended."


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a new key to be; `channel` is the slug of one, `holder` who holds a key of it."""

    name: str
    type: str = KeyType.RESTRICTED
    scopes: Sequence[str] = ()
    environment: str = Environment.LIVE
    expires_at: datetime | None = None
    note: str = ""
    channel: str = ""
    holder: str = ""
    networks: Sequence[str] = ()
    rate: str = ""

    @property
    def grant(self) -> Grant:
        return Grant.of(self.type, " ".join(self.scopes))

    @property
    def stored_networks(self) -> str:
        """The networks as they would be stored. Raises ValidationError (networks)."""
        return _networks(self.networks)

    @property
    def ends_at(self) -> datetime:
        """When the key ends; a draft that doesn't say is of a key that never expires."""
        return NEVER_EXPIRES if self.expires_at is None else self.expires_at


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody wants to change; None leaves a value as it is."""

    name: str | None = None
    note: str | None = None
    scopes: Sequence[str] | None = None
    expires_at: datetime | None = None
    networks: Sequence[str] | None = None
    rate: str | None = None


def settled(project: Project, draft: Draft, at: datetime) -> Draft:
    """Return the draft with what its type decides: an agent key's end, and its scopes where none is picked.

    Raises ValidationError for an agent key that shall end otherwise. One query, for such scopes.
    """
    if draft.type != KeyType.AGENT:
        return draft
    if draft.expires_at is not None:
        raise ValidationError({"expires_at": AGENT_END})
    known = () if draft.scopes else set(project.scopes())
    scopes = draft.scopes or [scope for scope in AGENT_SCOPES if scope in known]
    return replace(draft, scopes=scopes, expires_at=at + AGENT_LIFETIME)


def drafted(project: Project, draft: Draft, at: datetime) -> Key:
    """Return an unsaved key, every rule checked that needs no secret: but that its name is free, which the
    database checks as it is inserted.

    Raises ValidationError with all that is wrong, by field. Checked here and not in a ModelForm, which
    would skip a constraint on a column that it doesn't show.
    """
    errors = _Errors()
    name = errors.gather(lambda: cleaned("name", clean_name, draft.name))
    key = Key(
        project=project,
        type=draft.type,
        environment=draft.environment,
        name=name or "",
        name_folded=fold(name or ""),
        note=errors.gather(lambda: cleaned("note", clean_text, draft.note, NOTE_LENGTH)) or "",
        scopes=errors.gather(lambda: _picked(project, draft.type, draft.scopes)) or "",
        created_at=at,
        expires_at=draft.ends_at,
        networks=errors.gather(lambda: _networks(draft.networks)) or "",
        rate=errors.gather(lambda: _rate(draft.rate)) or "",
    )
    errors.gather(lambda: _refuse_end(draft.ends_at, at))
    errors.gather(lambda: _put_into_channel(key, draft))
    if draft.environment not in Environment.values:
        errors.add({"environment": "Choose Live or Test."})
    if errors:
        # Of a draft that is good otherwise, the insert finds out.
        errors.gather(lambda: refuse_taken_name(key))
    errors.raise_any()
    return key


class _Errors:
    """Gathers what is wrong with a draft, so that all of it is said at once."""

    def __init__(self) -> None:
        self._by_field: dict[str, list[str]] = {}

    def gather(self, rule: Callable[[], T]) -> T | None:
        """Return what the rule gives; None where it raises a ValidationError, which is kept."""
        try:
            return rule()
        except ValidationError as error:
            self.add(error.message_dict)
            return None

    def add(self, messages: Mapping[str, str | list[str]]) -> None:
        for name, texts in messages.items():
            self._by_field.setdefault(name, []).extend([texts] if isinstance(texts, str) else texts)

    def __bool__(self) -> bool:
        return bool(self._by_field)

    def raise_any(self) -> None:
        if self._by_field:
            raise ValidationError(self._by_field)


def _picked(project: Project, key_type: str, picked: Sequence[str]) -> str:
    """Return the picked scopes as they are stored. Raises ValidationError. One query."""
    if key_type not in PICKS_SCOPES:
        if picked:
            raise ValidationError({"scopes": "Only a restricted key or an agent key has scopes of its own."})
        return ""
    known = set(project.scopes())
    if unknown := sorted(set(picked) - known):
        raise ValidationError({"scopes": f"This project has no scope called “{_said(unknown[0])}”."})
    if not picked:
        raise ValidationError({"scopes": "Pick at least one scope."})
    return join(picked)


def _put_into_channel(key: Key, draft: Draft) -> None:
    """Give a channel key its channel and its holder. Raises ValidationError. Two queries, for such a key."""
    if draft.type != KeyType.CHANNEL:
        if draft.channel or draft.holder:
            raise ValidationError({"channel": "Only a channel key has a channel, and somebody who holds it."})
        return
    errors = _Errors()
    key.channel = Channel.objects.of(key.project).filter(slug=draft.channel[:SLUG_LENGTH]).first()
    if key.channel is None:
        errors.add({"channel": "There is no such channel here." if draft.channel else "Choose a channel."})
    if not draft.holder.strip():
        errors.add({"holder": "Enter who holds the key."})
    else:
        key.holder = errors.gather(lambda: cleaned("holder", clean_name, draft.holder)) or ""
    key.holder_folded = fold(key.holder)
    errors.gather(lambda: refuse_taken_holder(key))
    errors.raise_any()


def _said(scope: str) -> str:
    return "…" if holds_token(scope) else scope[:60]


def cleaned(name: str, clean: Callable[[str], str], text: str, most: int | None = None) -> str:
    """Return the cleaned text. Raises ValidationError under the field's name."""
    try:
        cleaned = clean(text)
    except ValidationError as error:
        raise ValidationError({name: error}) from None
    if most and len(cleaned) > most:
        raise ValidationError({name: f"Use {most:,} characters or fewer."})
    return cleaned


def refuse_taken_name(key: Key) -> None:
    """Raise ValidationError where another key that isn't revoked has this name. One query."""
    others = Key.objects.filter(
        project_id=key.project_id, name_folded=key.name_folded, revoked_at=None
    ).exclude(pk=key.pk)
    if other := others.first():
        raise ValidationError({"name": f"Another key is called “{other.name}”."})


def refuse_taken_holder(key: Key) -> None:
    """Raise ValidationError where the same holder has a key of this channel that isn't revoked. One query."""
    if key.channel is None or not key.holder_folded:
        return
    others = Key.objects.filter(channel=key.channel, holder_folded=key.holder_folded, revoked_at=None)
    if other := others.exclude(pk=key.pk).first():
        said = f"{other.holder} holds a key of {key.channel.name} already: “{other.name}”."
        raise ValidationError({"holder": said})


def edited(key: Key, changes: Edit, at: datetime) -> None:
    """Put the changes into the key, unsaved. Raises ValidationError with all that is wrong, by field."""
    errors = _Errors()
    if changes.name is not None:
        name = errors.gather(lambda: cleaned("name", clean_name, changes.name or ""))
        key.name, key.name_folded = name or "", fold(name or "")
        errors.gather(lambda: refuse_taken_name(key))
    if changes.note is not None:
        key.note = errors.gather(lambda: cleaned("note", clean_text, changes.note or "", NOTE_LENGTH)) or ""
    if changes.scopes is not None:
        picked = changes.scopes
        key.scopes = errors.gather(lambda: _picked(key.project, key.type, picked)) or ""
    if changes.networks is not None:
        wanted = changes.networks
        key.networks = errors.gather(lambda: _networks(wanted)) or ""
    if changes.rate is not None:
        key.rate = errors.gather(lambda: _rate(changes.rate or "")) or ""
    if changes.expires_at is not None and changes.expires_at != key.expires_at:
        end = changes.expires_at
        errors.gather(lambda: _refuse_expiry(key, end, at))
        key.expires_at = end
    errors.raise_any()


def _networks(texts: Sequence[str]) -> str:
    try:
        return networks.clean(["…" if holds_token(text) else text for text in texts])
    except networks.NotANetwork as error:
        raise ValidationError({"networks": str(error)}) from None


def _rate(text: str) -> str:
    try:
        return str(rates.parse(text) or "")
    except ValueError as error:
        raise ValidationError({"rate": str(error)}) from None


def _refuse_end(expires_at: datetime, at: datetime) -> None:
    if expires_at <= at:
        raise ValidationError({"expires_at": "Choose a date after today."})
    if expires_at > NEVER_EXPIRES:
        raise ValidationError({"expires_at": "Choose an earlier date, or never."})


def _refuse_expiry(key: Key, expires_at: datetime, at: datetime) -> None:
    if key.type == KeyType.AGENT:
        raise ValidationError({"expires_at": AGENT_END})
    if key.is_expired(at):
        raise ValidationError({"expires_at": "An expired key can't be brought back. Issue a new one."})
    _refuse_end(expires_at, at)
