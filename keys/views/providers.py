"""The console's pages about provider keys and upstreams."""

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from config.fragments import answer, current_path, current_query, go_to, into, is_fragment, see_other, then
from keys import providers
from keys.forms_providers import DeleteForm, ProviderEditForm, ProviderKeyForm, SelectForm, UpstreamForm
from keys.kinds import Provider
from keys.listing_providers import (
    ProviderListing,
    holds_pasted,
    key_anchor,
    options_of,
    readable,
    search_query,
    upstream_anchor,
    users_of,
)
from keys.models import ProviderKey, Upstream
from keys.providers import Stale
from keys.rows_providers import UpstreamRow
from keys.views.pages import GetOrPost, posted
from projects.access import Access, project_for
from projects.models import AuditEvent, Project, Role
from projects.moments import Moment

# Of the upstreams that use a provider key, these are named where it is deleted.
_NAMED_AT_MOST = 10
_LABELS = {"name": "Name", "base_url": "Base URL", "header": "Header", "prefix": "Prefix"}


@require_safe
def provider_key_list(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug)
    listing = ProviderListing(access, request.GET)
    if holds_pasted(request.GET) or listing.has_lost_search:
        return see_other(request, _address(access.project, search_query(access, request.GET)))
    return _tables(request, access, listing)


@require_POST
def provider_key_search(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug)
    query = search_query(access, request.POST)
    url = _address(access.project, query)
    if not is_fragment(request):
        return see_other(request, url)
    response = _tables(request, access, ProviderListing(access, QueryDict(query)))
    response["HX-Replace-Url"] = url
    return response


@GetOrPost
@never_cache
def provider_key_create(request: HttpRequest, slug: str) -> HttpResponse:
    """A GET may name a `provider`: its address and header are filled in then."""
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    form = ProviderKeyForm(posted(request), request=request, provider=request.GET.get("provider", ""))
    if request.method == "POST" and form.is_valid():
        try:
            key = providers.create_provider_key(
                access.project, form.draft(), actor=access.actor(request), at=timezone.now()
            )
        except ValidationError as error:
            form.take(error)
        else:
            said = f"{key.name} was stored."
            return _back(request, access, said, focus=key_anchor(key))
    return _form(request, access, "keys/provider_key_create.html", form)


@GetOrPost
@never_cache
def provider_key_edit(request: HttpRequest, slug: str, public_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    key = _key_of(access, public_id)
    form = ProviderEditForm(posted(request), request=request, key=key)
    if request.method == "POST" and form.is_valid():
        try:
            saved = providers.edit_provider_key(
                access.project,
                public_id,
                form.changes(),
                actor=access.actor(request),
                at=timezone.now(),
                version=form.cleaned_data["version"],
            )
        except ValidationError as error:
            form.take(error)
        except Stale as stale:
            return _stale_key(request, access, stale, form)
        except ProviderKey.DoesNotExist:
            raise Http404 from None
        else:
            return _back(request, access, f"{saved.name} was saved.", focus=key_anchor(saved))
    shown = {"key": key, "provider": Provider(key.provider).label}
    return _form(request, access, "keys/provider_key_edit.html", form, **shown)


@GetOrPost
def provider_key_delete(request: HttpRequest, slug: str, public_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    key, form = _key_of(access, public_id), DeleteForm(posted(request), request=request)
    if request.method == "POST" and form.is_valid():
        follower = _listing(request, access).key_after(key)
        try:
            providers.delete_provider_key(
                access.project, public_id, actor=access.actor(request), at=timezone.now()
            )
        except ValidationError as error:
            form.take(error)
        except ProviderKey.DoesNotExist:
            raise Http404 from None
        else:
            return _back(request, access, f"{key.name} was deleted.", focus=follower)
    users = users_of([key]).get(key.pk, [])
    named, more = users[:_NAMED_AT_MOST], max(0, len(users) - _NAMED_AT_MOST)
    provider = None if key.provider == Provider.CUSTOM else Provider(key.provider).label
    shown = {"key": key, "provider": provider, "users": named, "more": more}
    return _form(request, access, "keys/provider_key_delete.html", form, **shown)


@GetOrPost
def upstream_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    form = UpstreamForm(posted(request), request=request, options=options_of(access.project))
    if request.method == "POST" and form.is_valid():
        try:
            upstream = providers.create_upstream(
                access.project, **form.cleaned_data, actor=access.actor(request), at=timezone.now()
            )
        except ValidationError as error:
            form.take(error)
        else:
            said = f"{upstream.slug} was added."
            return _back(request, access, said, focus=upstream_anchor(upstream))
    return _form(request, access, "keys/upstream_create.html", form)


@GetOrPost
def upstream_select(request: HttpRequest, slug: str, upstream: str) -> HttpResponse:
    """From now on the upstream uses another provider key.

    Sent from the select of its row, where no password is asked for: the page that asks comes in between, with
    what was selected.
    """
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    row, options = _upstream_of(access, upstream), options_of(access.project)
    used = {"provider_key": row.provider_key.public_id if row.provider_key else "", "version": row.version}
    form = SelectForm(posted(request), request=request, options=options, initial=used)
    if request.method == "POST" and form.is_valid():
        try:
            row = providers.select_provider_key(
                access.project,
                upstream,
                form.cleaned_data["provider_key"],
                actor=access.actor(request),
                at=timezone.now(),
                version=form.cleaned_data["version"],
            )
        except ValidationError as error:
            form.take(error)
        except Stale as stale:
            return _stale_upstream(request, access, stale, form)
        except Upstream.DoesNotExist:
            raise Http404 from None
        else:
            now = row.provider_key.name if row.provider_key else "no provider key"
            return _back(request, access, f"{upstream} uses {now}.", focus=upstream_anchor(row))
    elif form.must_ask:
        form = form.asking()
    return _form(request, access, "keys/upstream_select.html", form, upstream=UpstreamRow.of(row))


@GetOrPost
def upstream_delete(request: HttpRequest, slug: str, upstream: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    row, form = _upstream_of(access, upstream), DeleteForm(posted(request), request=request)
    if request.method == "POST" and form.is_valid():
        follower = _listing(request, access).upstream_after(row)
        try:
            providers.delete_upstream(
                access.project, upstream, actor=access.actor(request), at=timezone.now()
            )
        except ValidationError as error:
            form.take(error)
        except Upstream.DoesNotExist:
            raise Http404 from None
        else:
            return _back(request, access, f"{upstream} was deleted.", focus=follower)
    return _form(request, access, "keys/upstream_delete.html", form, upstream=UpstreamRow.of(row))


# What they share


def _context(access: Access, **more: Any) -> dict[str, Any]:
    names = {
        "list": "provider_key_list",
        "search": "provider_key_search",
        "create": "provider_key_create",
        "create_upstream": "upstream_create",
    }
    return {
        "access": access,
        "project": access.project,
        "rail": "providers",
        "may_manage": access.at_least(Role.ADMIN),
        "urls": {name: reverse(url, args=[access.project.slug]) for name, url in names.items()},
        **more,
    }


def _key_of(access: Access, public_id: str) -> ProviderKey:
    """Return the project's provider key without its value; to another project it does not exist."""
    key = readable(access.project).filter(public_id=public_id).first()
    if key is None:
        raise Http404
    return key


def _upstream_of(access: Access, slug: str) -> Upstream:
    found = Upstream.objects.filter(project=access.project, slug=slug)
    upstream = found.select_related("provider_key").defer("provider_key__sealed").first()
    if upstream is None:
        raise Http404
    return upstream


def _form(request: HttpRequest, access: Access, template: str, form: Any, **more: Any) -> HttpResponse:
    """Answer with a dialog that holds a form: 422 where it was refused."""
    status = 422 if form.errors else 200
    return answer(request, template, _context(access, form=form, **more), partial="dialog", status=status)


def _address(project: Project, query: str) -> str:
    url = reverse("provider_key_list", args=[project.slug])
    return f"{url}?{query}" if query else url


def _listing(request: HttpRequest, access: Access) -> ProviderListing:
    """Return the tables as the page shows them that htmx asks from."""
    query = current_query(request, _address(access.project, ""))
    return ProviderListing(access, QueryDict(query))


def _tables(request: HttpRequest, access: Access, listing: ProviderListing) -> HttpResponse:
    keys, upstreams = listing.keys(), listing.upstreams()
    may_manage = access.at_least(Role.ADMIN)
    shown = _context(
        access,
        listing=listing,
        keys=keys,
        upstreams=upstreams,
        matches=listing.matches(keys) if listing.searched else "",
        options=options_of(access.project) if may_manage and upstreams.rows else [],
    )
    status = 400 if listing.problem else 200
    response = answer(request, "keys/provider_key_list.html", shown, partial="listing", status=status)
    if landing := listing.landing():
        then(response, focus={"target": landing})
    return response


def _back(request: HttpRequest, access: Access, message: str, *, focus: str = "") -> HttpResponse:
    """Answer a verb: the tables as the person had them, with a message, and the dialog closed.

    `focus` is the row that the verb was about; where the tables don't show it, the heading gets the focus.
    """
    home = _address(access.project, "")
    if not is_fragment(request):
        return see_other(request, home, message)
    if current_path(request) not in ("", home):
        return go_to(request, home, message)
    messages.success(request, message)
    response = into(_tables(request, access, _listing(request, access)), "#listing")
    response["HX-Reswap"] = "outerHTML"
    is_shown = focus and f'id="{focus[1:]}"'.encode() in response.content
    return then(response, close={}, focus={"target": focus if is_shown else "h1"})


# Too late


def _stale_key(request: HttpRequest, access: Access, stale: Stale, form: Any) -> HttpResponse:
    """Answer an edit that came too late: 409, with both sides but for the values."""
    key = stale.row
    assert isinstance(key, ProviderKey)
    typed = form.cleaned_data
    differing = [
        (label, typed[name], getattr(key, name))
        for name, label in _LABELS.items()
        if typed[name] != getattr(key, name)
    ]
    if typed["secret"]:
        differing.append(("Value", "a new one, which wasn't stored", "the one that is stored"))
    again = reverse("provider_key_edit", args=[access.project.slug, key.public_id])
    changed = _changed_last(access.project, "provider_key", key.public_id)
    more = {**changed, "name": key.name, "again": again}
    return _nothing_changed(request, access, str(stale), status=409, differing=differing, **more)


def _stale_upstream(request: HttpRequest, access: Access, stale: Stale, form: Any) -> HttpResponse:
    upstream = stale.row
    assert isinstance(upstream, Upstream)
    names = dict(options_of(access.project))
    wanted = names.get(form.cleaned_data["provider_key"], "None")
    now = upstream.provider_key.name if upstream.provider_key else "None"
    # Where the provider key was deleted, the last event about the upstream isn't what changed it.
    changed = _changed_last(access.project, "upstream", upstream.slug) if upstream.provider_key else {}
    differing = [("Provider key", wanted, now)]
    more = {**changed, "name": upstream.slug}
    return _nothing_changed(request, access, str(stale), status=409, differing=differing, **more)


def _nothing_changed(
    request: HttpRequest,
    access: Access,
    message: str,
    *,
    status: int,
    differing: Sequence[tuple[str, str, str]] = (),
    **more: Any,
) -> HttpResponse:
    shown = _context(access, message=message, differing=differing, **more)
    return answer(request, "keys/provider_conflict.html", shown, partial="dialog", status=status)


def _changed_last(project: Project, kind: str, object_id: str) -> dict[str, Any]:
    """Return who changed a thing last, and when. One query."""
    events = AuditEvent.objects.filter(project_id=project.pk, object_kind=kind, object_id=object_id)
    event = events.order_by("-number").first()
    return {"who": event.actor_label, "when": Moment.of(event.at)} if event else {}
