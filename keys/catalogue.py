"""What keys have to say when a scope is to leave a project's catalogue."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.db.models import TextField, Value
from django.db.models.functions import Concat

from keys.models import Key
from projects.models import Project

_COUNTED_AT_MOST: Final = 1000


def refuse_scopes_in_use(project: Project, scopes: Sequence[str], at: datetime) -> None:
    """The answer to `projects.catalogue.scopes_leaving`.

    Raises ValidationError (actions), with the number of keys, where a key that isn't revoked or expired
    was given one of the scopes; one that is paused may be resumed. Keys that hold a scope through their
    type (privileged, viewer) need no catalogue. One query a scope, over the project's keys.
    """
    problems = [
        f"{_told(count)} “{scope}”: revoke {'it' if count == 1 else 'them'} first."
        for scope in scopes
        if (count := _holders(project, scope, at))
    ]
    if problems:
        raise ValidationError({"actions": problems})


def _holders(project: Project, scope: str, at: datetime) -> int:
    # Scopes are stored with blanks between them: with one at either end each is a word of its own.
    words = Concat(Value(" "), "scopes", Value(" "), output_field=TextField())
    living = Key.objects.filter(project=project).listed(at).filter(expires_at__gt=at)
    return living.annotate(words=words).filter(words__contains=f" {scope} ")[: _COUNTED_AT_MOST + 1].count()


def _told(count: int) -> str:
    if count > _COUNTED_AT_MOST:
        return f"More than {_COUNTED_AT_MOST:,} living keys hold"
    return "1 living key holds" if count == 1 else f"{count:,} living keys hold"
