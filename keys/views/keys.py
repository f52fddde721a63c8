"""The console's pages about keys. Each fetches through the door, calls a verb and answers."""

from datetime import UTC, datetime
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.text import slugify
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from config.fragments import answer, is_fragment
from keys import conflicts, lifecycle, usage
from keys.first_calls import FirstCall
from keys.forms import KeyForm
from keys.forms_life import EditForm, RenewForm, RevokeForm, RotateForm
from keys.kinds import PICKS_SCOPES
from keys.listing import PROJECT_KEYS, tab_of
from keys.models import Key
from keys.permissions import may_edit, may_renew
from keys.rows import Row, allowed, in_use, limits_of
from keys.timeline import last_change, told
from keys.verification import proves
from keys.views import pages
from keys.views.channel_pages import came_from
from keys.views.pages import GetOrPost
from keys.widening import widening
from projects.access import Access, project_for
from projects.forms import QuietForm
from projects.models import AuditEvent, Role

# Of the keys that a key has issued, these are named where it is revoked.
NAMED_AT_MOST: Final = 10


@require_safe
def key_list(request: HttpRequest, slug: str) -> HttpResponse:
    return pages.listed(request, project_for(request.user, slug), PROJECT_KEYS)


@require_POST
def key_search(request: HttpRequest, slug: str) -> HttpResponse:
    return pages.searched(request, project_for(request.user, slug), PROJECT_KEYS)


@GetOrPost
@never_cache
def key_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    at = timezone.now()
    catalogue = access.project.catalogue()
    form = KeyForm(pages.posted(request), request=request, role=access.role, catalogue=catalogue, at=at)
    return pages.created(request, access, PROJECT_KEYS, "keys/key_create.html", form, at)


@require_safe
def key_detail(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug)
    key = pages.key_of(access, key_id)
    actor, at = access.actor(request), timezone.now()
    events = AuditEvent.objects.filter(project_id=access.project.pk, object_kind="key", object_id=key_id)
    catalogue = access.project.scopes()
    used, unused = usage.scopes(key, catalogue)
    context = {
        "row": Row.of(key, actor, at),
        "stopping": usage.stopping(key, at),
        "month": usage.month(key, at),
        "used": used,
        "unused": unused,
        "places": usage.places(key),
        "channel": key.channel,
        "scopes": key.grant.listed(catalogue),
        "environment": key.get_environment_display(),
        "limits": limits_of(key),
        "may_renew_automator": key.is_protected and allowed(may_renew, actor, key),
        "predecessor": Key.objects.filter(successor=key).first(),
        "successor": Key.objects.filter(predecessor=key).first(),
        "timeline": [told(event) for event in events.order_by("-number")[:100]],
    }
    return render(request, "keys/key_detail.html", pages.context(access, tab_of(key), **context))


@require_safe
@never_cache
def key_first_call(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """Whether the key was used since its secret was shown: asked by that dialog until it was.

    While it wasn't, the dialog is answered with nothing: what stands there stays.
    """
    access = project_for(request.user, slug)
    key, at = pages.key_of(access, key_id), timezone.now()
    proof = FirstCall.of(key, _since(request, key), at)
    if proof.polls and is_fragment(request):
        return HttpResponse(status=204, headers={"Vary": "HX-Request"})
    shown = pages.context(access, tab_of(key), key=key, proof=proof)
    return answer(request, "keys/key_first_call.html", shown, partial="proof")


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
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    return pages.back(request, access, key, f"{key.name} is ready to use.", focus=key.key_id)


@GetOrPost
@never_cache
def key_renew(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at = pages.key_of(access, key_id), timezone.now()
    may_renew(access.actor(request), key)
    form = RenewForm(pages.posted(request), request=request, key=key)
    try:
        conflicts.refuse_renewing(key, at)
        if request.method == "POST" and form.is_valid():
            version = form.cleaned_data["version"]
            issued = lifecycle.renew(
                access.project, key_id, actor=access.actor(request), at=at, version=version
            )
            return pages.once(request, access, issued)
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    heading = "Renew the Automator Key?" if key.is_protected else "Get a new secret?"
    shown = {"key": key, "heading": heading, **pages.way_back(came_from(request, key))}
    return pages.form(request, access, tab_of(key), "keys/key_renew.html", form, **shown)


@GetOrPost
def key_edit(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at = pages.key_of(access, key_id), timezone.now()
    may_edit(access.actor(request), key)
    catalogue = access.project.catalogue() if key.type in PICKS_SCOPES else []
    seen: dict[str, Any] = {"key": key, "role": access.role, "catalogue": catalogue, "at": at}
    form = EditForm(pages.posted(request), request=request, **seen)
    try:
        conflicts.refuse_editing(key, at)
        if request.method == "POST" and form.is_valid():
            return _edit(request, access, key, form, at)
    except ValidationError as error:
        form.take(error)
    except conflicts.Stale as stale:
        differences = form.overtaken(stale.key, last_change(stale.key, at))
        shown = {"key": stale.key, "differences": differences}
        return pages.form(request, access, tab_of(key), "keys/key_edit.html", form, status=409, **shown)
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    return pages.form(request, access, tab_of(key), "keys/key_edit.html", form, key=key)


@GetOrPost
def key_revoke(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at = pages.key_of(access, key_id), timezone.now()
    busy = in_use(key, at)
    form = RevokeForm(pages.posted(request), key=key, in_use=busy)
    try:
        conflicts.refuse_revoking(key, at)
        if request.method == "POST" and form.is_valid():
            return _revoke(request, access, key, form.cleaned_data["reason"], at)
    except ValidationError as error:
        form.take(error)
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    row = Row.of(key, access.actor(request), at)
    shown: dict[str, Any] = {
        "key": key,
        "row": row,
        "in_use": busy,
        "week": usage.this_week(key, at) if busy else "",
    }
    shown |= {**_left_behind(access, key, at), **pages.way_back(came_from(request, key))}
    return pages.form(request, access, tab_of(key), "keys/key_revoke.html", form, **shown)


@GetOrPost
@never_cache
def key_rotate(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at, actor = pages.key_of(access, key_id), timezone.now(), access.actor(request)
    may_edit(actor, key)
    form = RotateForm(pages.posted(request), request=request, key=key, at=at)
    try:
        conflicts.refuse_rotating(key, at)
        if request.method == "POST" and form.is_valid():
            issued = lifecycle.rotate(access.project, key_id, grace=form.grace(), actor=actor, at=at)
            return pages.once(request, access, issued)
    except ValidationError as error:
        form.take(error)
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    row = Row.of(key, actor, at)
    return pages.form(request, access, tab_of(key), "keys/key_rotate.html", form, key=key, row=row)


@GetOrPost
def key_pause(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at, actor = pages.key_of(access, key_id), timezone.now(), access.actor(request)
    try:
        conflicts.refuse_pausing(key, at)
        if request.method == "POST":
            key = lifecycle.pause(access.project, key_id, actor=actor, at=at)
            return _stay(request, access, key, f"{key.name} is paused.")
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    shown: dict[str, Any] = {"key": key, "row": Row.of(key, actor, at), "in_use": in_use(key, at)}
    shown["week"] = usage.this_week(key, at)
    return pages.form(request, access, tab_of(key), "keys/key_pause.html", QuietForm(), **shown)


@require_POST
def key_resume(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    try:
        key = lifecycle.resume(access.project, key_id, actor=access.actor(request), at=timezone.now())
    except Key.DoesNotExist:
        raise Http404 from None
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    return _stay(request, access, key, f"{key.name} works again.")


def _stay(request: HttpRequest, access: Access, key: Key, message: str) -> HttpResponse:
    """Lead back to the tables, or to the key's own page, where these verbs stand."""
    home = reverse("key_detail", args=[access.project.slug, key.key_id])
    return pages.back(request, access, key, message, focus=key.key_id, home=home)


@require_POST
@never_cache
def key_env(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """The `.env` file of a token that the page still shows: it comes back in the body, not in a URL."""
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key = pages.key_of(access, key_id)
    token = request.POST.get("token", "")
    if not proves(key, token):
        context = pages.context(access, tab_of(key), heading="This isn't the key's secret", key=key)
        context["message"] = "The secret was replaced, or the page was left. Nothing was downloaded."
        return render(request, "keys/key_conflict.html", context, status=422)
    text = f"# {key.name}: {access.project.name}, {key.environment}\nKEYRACK_KEY={token}\n"
    response = HttpResponse(text, content_type="text/plain; charset=utf-8")
    filename = f"{slugify(key.name) or key.key_id}.env"
    response["Content-Disposition"] = f'attachment; filename="{filename}"'
    return response


def _since(request: HttpRequest, key: Key) -> datetime:
    """Return when the secret was shown, as the dialog says; else when the key was made. Raises Http404."""
    text = request.GET.get("since")
    if text is None:
        return key.created_at
    try:
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise Http404 from None


def _version(request: HttpRequest) -> int | None:
    """Return the version of the secret that a page showed; None where it was sent without."""
    text = request.POST.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _left_behind(access: Access, key: Key, at: datetime) -> dict[str, Any]:
    """Return the keys that go on working though the one that issued them is revoked. Two queries."""
    issued = Key.objects.of(access.project).issued_by(key).living(at)
    named = issued.order_by("-created_at", "-pk")[:NAMED_AT_MOST]
    count = issued.count()
    return {"issued": named, "issued_count": count, "issued_more": count - NAMED_AT_MOST}


def _edit(request: HttpRequest, access: Access, before: Key, form: EditForm, at: datetime) -> HttpResponse:
    version = form.cleaned_data["version"]
    key = lifecycle.edit(
        access.project, before.key_id, form.edit(), actor=access.actor(request), at=at, version=version
    )
    more = widening(before, key)
    return pages.back(request, access, key, f"{key.name} was saved.{more}", focus=key.key_id)


def _revoke(request: HttpRequest, access: Access, key: Key, reason: str, at: datetime) -> HttpResponse:
    follower = pages.follower(request, access, key)
    key = lifecycle.revoke(access.project, key.key_id, actor=access.actor(request), at=at, reason=reason)
    return pages.back(request, access, key, f"{key.name} was revoked.", focus=follower)
