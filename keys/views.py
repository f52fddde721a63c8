"""The console's pages about keys. Each fetches through the door, calls a verb and answers."""

from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from config.fragments import (
    answer,
    asked_from_elsewhere,
    current_query,
    go_to,
    into,
    is_fragment,
    see_other,
    then,
)
from keys import lifecycle
from keys.forms import KeyForm, RenewForm, RevokeForm
from keys.listing import BadCursor, Listing, holds_pasted_key, search_query
from keys.models import Key
from keys.permissions import may_renew
from keys.rows import Row, allowed, in_use
from keys.timeline import told
from keys.verification import proves
from projects.access import Access, project_for
from projects.models import AuditEvent, Role
from projects.moments import Moment

REVOKED_COLUMNS: Final = (
    "Name", "Key", "Type", "Created", "Last used", "Revoked", "By", "Reason",
)  # fmt: skip

# Of the keys that a key has issued, these are named where it is revoked.
NAMED_AT_MOST: Final = 10

GetOrPost: Final = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
def key_list(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug)
    if holds_pasted_key(request.GET):
        return see_other(request, _list_url(access, search_query(access, request.GET)))
    return _list(request, access, _listing(request, access, request.GET))


@require_POST
def key_search(request: HttpRequest, slug: str) -> HttpResponse:
    """A search is posted, and the server chooses the address: a pasted key never becomes one."""
    access = project_for(request.user, slug)
    query = search_query(access, request.POST)
    url = _list_url(access, query)
    if not is_fragment(request):
        return see_other(request, url)
    response = _list(request, access, _listing(request, access, _params(query)))
    response["HX-Replace-Url"] = url
    return response


@GetOrPost
@never_cache
def key_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    at = timezone.now()
    catalogue = access.project.catalogue()
    form = KeyForm(_posted(request), role=access.role, catalogue=catalogue, at=at)
    if request.method == "POST" and form.is_valid():
        try:
            issued = lifecycle.issue(
                access.project,
                form.draft(),
                actor=access.actor(request),
                at=at,
                nonce=form.cleaned_data["nonce"],
            )
        except ValidationError as error:
            form.take(error)
        except lifecycle.AlreadyIssued as conflict:
            return _conflict(request, access, conflict)
        else:
            return _once(request, access, issued)
    return _form(request, access, "keys/key_create.html", form)


@require_safe
def key_detail(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug)
    key = _key(access, key_id)
    actor, at = access.actor(request), timezone.now()
    events = AuditEvent.objects.filter(project_id=access.project.pk, object_kind="key", object_id=key_id)
    context = {
        "row": Row.of(key, actor, at),
        "scopes": key.grant.listed(access.project.scopes()),
        "environment": key.get_environment_display(),
        "may_renew_automator": key.is_protected and allowed(may_renew, actor, key),
        "timeline": [told(event) for event in events.order_by("-number")[:100]],
    }
    return render(request, "keys/key_detail.html", _context(access, **context))


@require_POST
def key_confirm(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """“I've stored it”: the dialog closes, or the list comes back."""
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    try:
        key = lifecycle.confirm(
            access.project,
            key_id,
            actor=access.actor(request),
            at=timezone.now(),
            version=_version(request),
        )
    except Key.DoesNotExist:
        raise Http404 from None
    except lifecycle.Conflict as conflict:
        return _conflict(request, access, conflict)
    return _back_to_list(request, access, f"{key.name} is ready to use.", focus=key.key_id)


@GetOrPost
@never_cache
def key_renew(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at = _key(access, key_id), timezone.now()
    may_renew(access.actor(request), key)
    form = RenewForm(_posted(request), initial={"version": key.version})
    try:
        lifecycle.refuse_renewing(key, at)
        if request.method == "POST" and form.is_valid():
            version = form.cleaned_data["version"]
            issued = lifecycle.renew(
                access.project, key_id, actor=access.actor(request), at=at, version=version
            )
            return _once(request, access, issued)
    except lifecycle.Conflict as conflict:
        return _conflict(request, access, conflict)
    heading = "Renew the Automator Key?" if key.is_protected else "Get a new secret?"
    return _form(request, access, "keys/key_renew.html", form, key=key, heading=heading)


@GetOrPost
def key_revoke(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at = _key(access, key_id), timezone.now()
    busy = in_use(key, at)
    form = RevokeForm(_posted(request), key=key, in_use=busy)
    try:
        lifecycle.refuse_revoking(key, at)
        if request.method == "POST" and form.is_valid():
            return _revoke(request, access, key, form.cleaned_data["reason"], at)
    except ValidationError as error:
        form.take(error)
    except lifecycle.Conflict as conflict:
        return _conflict(request, access, conflict)
    row = Row.of(key, access.actor(request), at)
    left = _left_behind(access, key, at)
    return _form(request, access, "keys/key_revoke.html", form, key=key, row=row, in_use=busy, **left)


@require_POST
@never_cache
def key_env(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """The `.env` file of a token that the page still shows: it comes back in the body, not in a URL."""
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key = _key(access, key_id)
    token = request.POST.get("token", "")
    if not proves(key, token):
        context = _context(access, heading="This isn't the key's secret", key=key)
        context["message"] = "The secret was replaced, or the page was left. Nothing was downloaded."
        return render(request, "keys/key_conflict.html", context, status=422)
    text = f"# {key.name}: {access.project.name}, {key.environment}\nKEYRACK_KEY={token}\n"
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    filename = f"{slugify(key.name) or key.key_id}.env"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _version(request: HttpRequest) -> int | None:
    """Return the version of the secret that a page showed; None where it was sent without."""
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _posted(request: HttpRequest) -> QueryDict | None:
    """Return what a form is bound to: whatever was posted, nothing of it included."""
    return request.POST if request.method == "POST" else None


def _left_behind(access: Access, key: Key, at: datetime) -> dict[str, Any]:
    """Return the keys that go on working though the one that issued them is revoked. Two queries."""
    issued = Key.objects.of(access.project).issued_by(key).living(at)
    named = issued.order_by("-created_at", "-pk")[:NAMED_AT_MOST]
    count = issued.count()
    return {"issued": named, "issued_count": count, "issued_more": count - NAMED_AT_MOST}


def _revoke(request: HttpRequest, access: Access, key: Key, reason: str, at: datetime) -> HttpResponse:
    follower = _listing(request, access, _current_params(request, access)).next_after(key)
    key = lifecycle.revoke(access.project, key.key_id, actor=access.actor(request), at=at, reason=reason)
    return _back_to_list(request, access, f"{key.name} was revoked.", focus=follower)


def _once(request: HttpRequest, access: Access, issued: lifecycle.Issued) -> HttpResponse:
    """Show a token, in the answer to the POST that made it and nowhere else."""
    key = issued.key
    context = _context(
        access,
        key=key,
        token=issued.token,
        tag=key.get_type_display(),
        whoami=request.build_absolute_uri(reverse("whoami")),
    )
    return answer(request, "keys/key_once.html", context, partial="dialog")


def _conflict(request: HttpRequest, access: Access, conflict: lifecycle.Conflict) -> HttpResponse:
    key = conflict.key
    when = None
    if isinstance(conflict, lifecycle.AlreadyRevoked) and key.revoked_at:
        when = Moment.of(key.revoked_at)
    actor, at = access.actor(request), timezone.now()
    context = _context(
        access,
        heading="Nothing was changed",
        message=str(conflict),
        when=when,
        key=key,
        row=Row.of(key, actor, at),
    )
    return answer(request, "keys/key_conflict.html", context, partial="dialog", status=409)


def _form(request: HttpRequest, access: Access, template: str, form: Any, **context: Any) -> HttpResponse:
    status = 422 if form.errors else 200
    return answer(request, template, _context(access, form=form, **context), partial="dialog", status=status)


def _list(request: HttpRequest, access: Access, listing: Listing) -> HttpResponse:
    try:
        context = _listed(access, listing)
    except BadCursor:
        listing = _listing(request, access, {})
        listing.problem = "This page of the list isn't there any more. Here is its beginning."
        context = _listed(access, listing)
    status = 400 if listing.problem else 200
    response = answer(request, "keys/key_list.html", context, partial="listing", status=status)
    if landing := listing.landing():
        then(response, focus={"target": landing})
    return response


def _listed(access: Access, listing: Listing) -> dict[str, Any]:
    return _context(
        access,
        listing=listing,
        table=listing.table(),
        revoked=listing.revoked(),
        headers=listing.headers(),
        revoked_columns=REVOKED_COLUMNS,
        state=listing.state(),
        clear=listing.clear(),
    )


def _back_to_list(request: HttpRequest, access: Access, message: str, *, focus: str = "") -> HttpResponse:
    """Answer a verb: the tables as the person had them, with a message, and the dialog closed."""
    if not is_fragment(request):
        return see_other(request, _list_url(access), message)
    if asked_from_elsewhere(request, _list_url(access)):
        return go_to(request, _list_url(access), message)
    listing = _listing(request, access, _current_params(request, access))
    messages.success(request, message)
    response = into(_list(request, access, listing), "#listing")
    response["HX-Reswap"] = "outerHTML"
    target = f"#key-{focus}" if focus else "h1"
    return then(response, close={}, focus={"target": target})


def _listing(request: HttpRequest, access: Access, params: Any) -> Listing:
    return Listing(access, access.actor(request), params, timezone.now())


def _current_params(request: HttpRequest, access: Access) -> Any:
    return _params(current_query(request, _list_url(access)))


def _params(query: str) -> Any:
    return QueryDict(query)


def _list_url(access: Access, query: str = "") -> str:
    url = reverse("key_list", args=[access.project.slug])
    return f"{url}?{query}" if query else url


def _key(access: Access, key_id: str) -> Key:
    """Return the project's key; to whoever looks from another project it does not exist."""
    key: Key | None = Key.objects.of(access.project).filter(key_id=key_id).first()
    if key is None:
        raise Http404
    return key


def _context(access: Access, **context: Any) -> dict[str, Any]:
    return {
        "access": access,
        "project": access.project,
        "may_issue": access.at_least(Role.OPERATOR),
        "urls": {
            name: reverse(f"key_{name}", args=[access.project.slug]) for name in ("list", "search", "create")
        },
        **context,
    }
