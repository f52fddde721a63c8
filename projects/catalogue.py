"""A project's scope catalogue: the verbs on its resources, each with its audit event."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.dispatch import Signal

from projects import audit
from projects.lifecycle import opened
from projects.models import Project, Resource, Role
from projects.names import clean_name

# Sent with `project`, `scopes` and `at` inside the transaction that would take these scopes out of the
# catalogue. A receiver refuses by raising ValidationError: `keys` does where a living key holds one.
scopes_leaving = Signal()

# The grammar of both parts of a scope (`keys.scopes` reads the whole).
_SCOPE_PART: Final = re.compile(r"[a-z][a-z0-9-]*")
_RESOURCE_LENGTH: Final = 40
_LABEL_LENGTH: Final = 60
_GRAMMAR: Final = (
    "Use small letters, digits and hyphens, beginning with a letter, and"
    f" {_RESOURCE_LENGTH} characters or fewer."
)


class Changed(Exception):
    """Somebody else changed the resource since the actor saw it; nothing was changed now."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(f"{resource.name} was changed meanwhile.")
        self.resource = resource


def add_resource(
    project: Project,
    name: str,
    actions: Sequence[str],
    *,
    label: str = "",
    actor: audit.Actor,
    at: datetime,
) -> Resource:
    """Add a resource with its actions to the scope catalogue, and return it.

    Raises ValidationError (name, label, actions; the project was deleted), PermissionDenied below admin.
    Locks the head of the project's log.
    """
    name = _scope_part("name", name)
    wanted, label = _actions(actions), _label(label or name.capitalize())
    with opened(project, actor, at, least=Role.ADMIN) as (log, current):
        if current.resources.filter(name=name).exists():
            raise ValidationError({"name": f"There is a resource called “{name}” already."})
        resource = Resource(project=current, name=name, label=label, actions=wanted)
        resource.save(force_insert=True)
        log.record("resource.added", "resource", name, label, actions=[[], wanted])
    return resource


def edit_resource(
    project: Project,
    name: str,
    actions: Sequence[str],
    *,
    label: str,
    seen: Sequence[str] | None = None,
    actor: audit.Actor,
    at: datetime,
) -> Resource:
    """Change a resource's label and actions, and return it; its name stays, since scopes hold it.

    `seen` are the actions that the actor saw: Changed where they are others by now, so that nobody's change
    is lost. An action that a living key holds can't go. Raises Resource.DoesNotExist, ValidationError (label,
    actions; the project was deleted), PermissionDenied below admin. Locks the head of the project's log:
    issuing a key does as well, so that none gets a scope that is just going.
    """
    wanted, label = _actions(actions), _label(label)
    with opened(project, actor, at, least=Role.ADMIN) as (log, current):
        resource = current.resources.get(name=name)
        if seen is not None and list(seen) != resource.actions:
            raise Changed(resource)
        before = {"label": resource.label, "actions": resource.actions}
        _let_go(current, resource, wanted, at)
        resource.label, resource.actions = label, wanted
        after = {"label": label, "actions": wanted}
        changed = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
        if changed:
            resource.save(update_fields=["label", "actions"])
            log.record("resource.edited", "resource", name, label, **changed)
    return resource


def remove_resource(project: Project, name: str, *, actor: audit.Actor, at: datetime) -> None:
    """Take a resource with all its actions out of the catalogue.

    Raises Resource.DoesNotExist, ValidationError (a living key holds one of its scopes; the project was
    deleted), PermissionDenied below admin. Locks the head of the project's log.
    """
    with opened(project, actor, at, least=Role.ADMIN) as (log, current):
        resource = current.resources.get(name=name)
        _let_go(current, resource, [], at)
        resource.delete()
        log.record("resource.removed", "resource", name, resource.label, actions=[resource.actions, []])


def _let_go(project: Project, resource: Resource, kept: Sequence[str], at: datetime) -> None:
    """Ask whether the actions of the resource that aren't kept may go. Raises ValidationError."""
    leaving = [f"{resource.name}:{action}" for action in resource.actions if action not in kept]
    if leaving:
        scopes_leaving.send(sender=Resource, project=project, scopes=leaving, at=at)


def _label(label: str) -> str:
    try:
        cleaned = clean_name(label)
    except ValidationError as error:
        raise ValidationError({"label": error}) from None
    if len(cleaned) > _LABEL_LENGTH:
        raise ValidationError({"label": f"Use {_LABEL_LENGTH} characters or fewer."})
    return cleaned


def _actions(actions: Iterable[str]) -> list[str]:
    cleaned = list(dict.fromkeys(_scope_part("actions", action) for action in actions))
    if not cleaned:
        raise ValidationError({"actions": "Enter at least one action."})
    return cleaned


def _scope_part(field: str, text: str) -> str:
    if not _SCOPE_PART.fullmatch(text) or len(text) > _RESOURCE_LENGTH:
        raise ValidationError({field: _GRAMMAR})
    return text
