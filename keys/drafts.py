"""What somebody wants a key to be, and whether a key can be that: the rules on a key's own values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.core.exceptions import ValidationError

from config.redaction import holds_token
from keys.kinds import NEVER_EXPIRES, NOTE_LENGTH, Environment, KeyType
from keys.models import Key
from keys.scopes import Grant, join
from projects.models import Project
from projects.names import clean_name, clean_text, fold

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a new key to be."""

    name: str
    type: str = KeyType.RESTRICTED
    scopes: Sequence[str] = ()
    environment: str = Environment.LIVE
    expires_at: datetime = NEVER_EXPIRES
    note: str = ""

    @property
    def grant(self) -> Grant:
        return Grant.of(self.type, " ".join(self.scopes))


@dataclass(frozen=True, slots=True)
class Edit:
    """What somebody wants to change; None leaves a value as it is."""

    name: str | None = None
    note: str | None = None
    scopes: Sequence[str] | None = None
    expires_at: datetime | None = None


def drafted(project: Project, draft: Draft, at: datetime) -> Key:
    """Return an unsaved key, every rule checked that needs no secret.

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
        expires_at=draft.expires_at,
    )
    errors.gather(lambda: _refuse_end(draft.expires_at, at))
    if draft.environment not in Environment.values:
        errors.add({"environment": "Choose Live or Test."})
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

    def raise_any(self) -> None:
        if self._by_field:
            raise ValidationError(self._by_field)


def _picked(project: Project, key_type: str, picked: Sequence[str]) -> str:
    """Return the picked scopes as they are stored. Raises ValidationError. One query."""
    if key_type != KeyType.RESTRICTED:
        if picked:
            raise ValidationError({"scopes": "Only a restricted key has scopes of its own."})
        return ""
    known = set(project.scopes())
    if unknown := sorted(set(picked) - known):
        raise ValidationError({"scopes": f"This project has no scope called “{_said(unknown[0])}”."})
    if not picked:
        raise ValidationError({"scopes": "Pick at least one scope."})
    return join(picked)


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
    if changes.expires_at is not None and changes.expires_at != key.expires_at:
        end = changes.expires_at
        errors.gather(lambda: _refuse_expiry(key, end, at))
        key.expires_at = end
    errors.raise_any()


def _refuse_end(expires_at: datetime, at: datetime) -> None:
    if expires_at <= at:
        raise ValidationError({"expires_at": "Choose a date after today."})
    if expires_at > NEVER_EXPIRES:
        raise ValidationError({"expires_at": "Choose an earlier date, or never."})


def _refuse_expiry(key: Key, expires_at: datetime, at: datetime) -> None:
    if key.is_expired(at):
        raise ValidationError({"expires_at": "An expired key can't be brought back. Issue a new one."})
    _refuse_end(expires_at, at)
