"""What keys have to say before a project is deleted."""

from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import QuerySet

from keys.kinds import KeyType
from keys.models import Key, ProviderKey
from projects.models import Project

_COUNTED_AT_MOST: Final = 10_000
_IN_USE: Final = timedelta(days=7)


def what_stops(project: Project, at: datetime) -> list[str]:
    """Return what stops with the project, in sentences: the answer to `projects.lifecycle.project_ending`.

    Counted are the keys that haven't been revoked or expired; one that is paused could have been resumed.
    Three queries.
    """
    keys = Key.objects.filter(project=project).listed(at).filter(expires_at__gt=at)
    made = _count(keys.exclude(type=KeyType.SYSTEM))
    used = _count(keys.filter(activity__last_used_at__gte=at - _IN_USE))
    stored = _count(ProviderKey.objects.filter(project=project))
    said = ["Its one key, the Automator Key, stops working."]
    if made:
        said = [f"{_told(made, 'key')} and the Automator Key stop working."]
    if used:
        said.append(f"{_number(used)} of them {'was' if used == 1 else 'were'} used in the last 7 days.")
    if stored:
        said.append(f"{_told(stored, 'provider key')} {'is' if stored == 1 else 'are'} lost with it.")
    return said


def _count(rows: QuerySet[Any]) -> int:
    return rows.order_by()[: _COUNTED_AT_MOST + 1].count()


def _number(count: int) -> str:
    return f"{count:,}" if count <= _COUNTED_AT_MOST else f"More than {_COUNTED_AT_MOST:,}"


def _told(count: int, noun: str) -> str:
    return f"{_number(count)} {noun if count == 1 else f'{noun}s'}"
