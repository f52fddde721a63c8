"""The verbs on provider keys and upstreams, the only writer of either; and what an upstream is called with.

Admins and owners manage them, never a key. Each verb locks the head of the project's audit log first, then
the rows that it changes. Values are sealed for their row, base URL, header and prefix: where one of these
was changed in any other way, the value no longer opens. No event holds a value.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F

from keys.drafts import cleaned
from keys.kinds import MOST_PROVIDER_KEYS, MOST_UPSTREAMS
from keys.models import ProviderKey, Upstream
from keys.permissions import may_manage_providers
from keys.provider_drafts import BOUND, ProviderDraft, ProviderEdit, drafted, edited, refuse_taken_name
from keys.sealing import Keyring, SealingError
from keys.upstream_addresses import clean_slug, is_private, mask
from projects import audit
from projects.audit import Actor
from projects.models import Project

_EDITABLE: Final = ("name", *BOUND)


class Stale(Exception):
    """The row was changed since it was read; nothing was done. `row` is as it is now."""

    def __init__(self, message: str, row: ProviderKey | Upstream) -> None:
        super().__init__(message)
        self.row = row


class UnusableUpstream(Exception):
    """There is nothing to call this upstream with; the message says why."""


class UnknownUpstream(UnusableUpstream):
    """The project has no upstream of this name."""


class NoProviderKey(UnusableUpstream):
    """The upstream has no provider key selected."""


class PrivateAddress(UnusableUpstream):
    """The provider key leads to a private address, which this project may not use (any more)."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """What a request to an upstream needs: where it goes, and the header with its whole value."""

    base_url: str
    header: str
    value: str = field(repr=False)


def create_provider_key(project: Project, draft: ProviderDraft, *, actor: Actor, at: datetime) -> ProviderKey:
    """Return a new provider key, its value sealed.

    Raises ValidationError (by field; there are too many; the project was deleted), PermissionDenied below
    admin. Locks the head of the project's log.
    """
    with _opened(project, actor, at) as (log, current):
        if current.provider_keys.count() >= MOST_PROVIDER_KEYS:
            raise ValidationError(
                f"A project has at most {MOST_PROVIDER_KEYS} provider keys. Delete one first."
            )
        key = drafted(current, draft, at)
        key.created_by_label = actor.label
        _seal(key, draft.secret)
        _write(key, force_insert=True)
        described = {name: getattr(key, name) for name in BOUND}
        _record_key(log, "provider_key.created", key, provider=key.provider, **described)
    return key


def edit_provider_key(
    project: Project, public_id: str, changes: ProviderEdit, *, actor: Actor, at: datetime, version: int
) -> ProviderKey:
    """Change what a provider key is called, where it leads and its value, and return it.

    `version` is the one that the actor saw: Stale where it is another by now, so that nobody's change is
    lost. An edit that changes nothing writes nothing. The event has each column before and after, and that
    the value was replaced. Raises ProviderKey.DoesNotExist, PermissionDenied below admin, Stale,
    ValidationError (by field; the project was deleted). Locks the head of the project's log, then the row.
    """
    with _opened(project, actor, at) as (log, current):
        key = current.provider_keys.select_for_update(of=("self",)).get(public_id=public_id)
        if key.version != version:
            raise Stale("This provider key was changed meanwhile.", key)
        before = {name: getattr(key, name) for name in _EDITABLE}
        edited(key, changes, at)
        changed: dict[str, Any] = {
            name: [before[name], getattr(key, name)]
            for name in _EDITABLE
            if before[name] != getattr(key, name)
        }
        if changes.secret:
            _seal(key, changes.secret)
            changed["value"] = "replaced"
        if changed:
            key.version += 1
            columns = ("name_folded", "sealed", "mask", "updated_at", "version")
            # `update_fields`: only what this verb has locked and checked.
            _write(key, update_fields=[*_EDITABLE, *columns])
            _record_key(log, "provider_key.edited", key, **changed)
    return key


def delete_provider_key(project: Project, public_id: str, *, actor: Actor, at: datetime) -> list[str]:
    """Delete a provider key for good, and return the upstreams that are left without one.

    Raises ProviderKey.DoesNotExist, PermissionDenied below admin, ValidationError (the project was
    deleted). Locks the head of the project's log, then the row.
    """
    with _opened(project, actor, at) as (log, current):
        key = current.provider_keys.select_for_update(of=("self",)).get(public_id=public_id)
        users = key.upstreams.order_by("slug")
        slugs = list(users.values_list("slug", flat=True))
        # Their version as well: whoever has the page open from before selects anew.
        key.upstreams.update(provider_key=None, version=F("version") + 1)
        name = key.name
        ProviderKey.objects.filter(pk=key.pk).delete()
        log.record("provider_key.deleted", "provider_key", public_id, name, upstreams=[slugs, []])
    return slugs


def create_upstream(
    project: Project, slug: str, *, provider_key: str = "", actor: Actor, at: datetime
) -> Upstream:
    """Return a new upstream, with the provider key of that public id where one is given.

    Raises ValidationError (slug, provider_key; there are too many; the project was deleted),
    PermissionDenied below admin. Locks the head of the project's log.
    """
    slug = cleaned("slug", clean_slug, slug)
    with _opened(project, actor, at) as (log, current):
        if current.upstreams.count() >= MOST_UPSTREAMS:
            raise ValidationError(f"A project has at most {MOST_UPSTREAMS:,} upstreams. Delete one first.")
        if current.upstreams.filter(slug=slug).exists():
            raise _taken(slug)
        key = _selected(current, provider_key)
        upstream = Upstream(project=current, slug=slug, provider_key=key, created_at=at)
        try:
            with transaction.atomic():
                upstream.save(force_insert=True)
        except IntegrityError:
            raise _taken(slug) from None
        _record_upstream(log, "upstream.created", upstream, None, key)
    return upstream


def select_provider_key(
    project: Project, slug: str, provider_key: str, *, actor: Actor, at: datetime, version: int
) -> Upstream:
    """Have an upstream use another provider key, by its public id ("" for none), and return the upstream.

    From the next request on, the upstream is called with it. One that uses it already isn't changed.
    Raises Upstream.DoesNotExist, PermissionDenied below admin, Stale (as `edit_provider_key`),
    ValidationError (provider_key; the project was deleted). Locks the head of the project's log, then the
    row.
    """
    with _opened(project, actor, at) as (log, current):
        upstream = current.upstreams.select_for_update(of=("self",)).get(slug=slug)
        before = upstream.provider_key
        if provider_key == (before.public_id if before else ""):
            return upstream
        if upstream.version != version:
            raise Stale(f"Another provider key was selected for {slug} meanwhile.", upstream)
        upstream.provider_key = _selected(current, provider_key)
        upstream.version += 1
        upstream.save(update_fields=["provider_key", "version"])
        _record_upstream(log, "upstream.selected", upstream, before, upstream.provider_key)
    return upstream


def delete_upstream(project: Project, slug: str, *, actor: Actor, at: datetime) -> None:
    """Delete an upstream; its provider key stays.

    Raises Upstream.DoesNotExist, PermissionDenied below admin, ValidationError (the project was deleted).
    Locks the head of the project's log, then the row.
    """
    with _opened(project, actor, at) as (log, current):
        upstream = current.upstreams.select_for_update(of=("self",)).get(slug=slug)
        before = upstream.provider_key
        Upstream.objects.filter(pk=upstream.pk).delete()
        _record_upstream(log, "upstream.deleted", upstream, before, None)


def authorization_for(project: Project, upstream: str) -> Authorization:
    """Return what a request to the upstream needs. The row is read each time: a change counts at once.

    Raises UnusableUpstream (UnknownUpstream, also for a deleted project; NoProviderKey; PrivateAddress), and
    SealingError, which names the row, where its value doesn't open. One query.
    """
    found = (
        Upstream.objects.select_related("project", "provider_key")
        .filter(project=project, project__deleted_at=None, slug=_storable(upstream))
        .first()
    )
    if found is None:
        raise UnknownUpstream(f"{project.slug} has no such upstream.")
    key = found.provider_key
    if key is None:
        raise NoProviderKey(f"No provider key is selected for {found.slug} in {project.slug}.")
    if not found.project.private_upstreams and is_private(key.base_url):
        raise PrivateAddress(f"“{key.name}” leads to a private address, which {project.slug} may not use.")
    return Authorization(key.base_url, key.header, f"{key.prefix} {_opened_value(key, project)}".lstrip())


def _opened_value(key: ProviderKey, project: Project) -> str:
    try:
        return Keyring(settings.KEYRACK_SEALING_KEYS).open(bytes(key.sealed), key.seal_place)
    except SealingError as error:
        row = f"the provider key “{key.name}” ({key.public_id}) of {project.slug}"
        raise SealingError(f"The value of {row} doesn't open. {error}") from None


@contextmanager
def _opened(project: Project, actor: Actor, at: datetime) -> Iterator[tuple[audit.Log, Project]]:
    """Lock the project's log and give the project as it is now."""
    may_manage_providers(actor)
    with audit.log(project.pk, actor, at) as log:
        current = Project.objects.get(pk=project.pk)
        if current.deleted_at is not None:
            raise ValidationError("This project was deleted.", code="deleted")
        yield log, current


def _selected(project: Project, public_id: str) -> ProviderKey | None:
    """Return the project's provider key, None for "". One query."""
    if not public_id:
        return None
    keys = project.provider_keys.defer("sealed")
    key: ProviderKey | None = keys.filter(public_id=_storable(public_id)).first()
    if key is None:
        raise ValidationError({"provider_key": "There is no such provider key here."})
    return key


def _storable(text: str) -> str:
    """Return a text to look for; "", which nothing is called, for one that PostgreSQL doesn't take."""
    return "" if "\0" in text else text


def _seal(key: ProviderKey, secret: str) -> None:
    key.sealed = Keyring(settings.KEYRACK_SEALING_KEYS).seal(secret, key.seal_place)
    key.mask = mask(secret)


def _write(key: ProviderKey, **how: Any) -> None:
    """Save the key. A race for the name ends as the ValidationError that names it."""
    try:
        with transaction.atomic():
            key.save(**how)
    except IntegrityError:
        refuse_taken_name(key)
        raise


def _taken(slug: str) -> ValidationError:
    return ValidationError({"slug": f"There is an upstream called “{slug}” already."})


def _record_key(log: audit.Log, verb: str, key: ProviderKey, **changes: Any) -> None:
    log.record(verb, "provider_key", key.public_id, key.name, **changes)


def _record_upstream(
    log: audit.Log, verb: str, upstream: Upstream, before: ProviderKey | None, after: ProviderKey | None
) -> None:
    """Record which provider key an upstream used, and which it uses, by names as they are now and by ids."""
    names = [key.name if key else None for key in (before, after)]
    ids = [key.public_id if key else None for key in (before, after)]
    log.record(verb, "upstream", upstream.slug, upstream.slug, provider_key=names, provider_key_id=ids)
