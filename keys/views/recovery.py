"""The pages about recoverable keys: a key's token shown again, and the setting that keeps it."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache

from config.fragments import answer, go_to, is_fragment, see_other
from keys import conflicts, recovery
from keys.listing import PROJECT_KEYS, tab_of
from keys.permissions import may_reveal
from keys.rows import Row
from keys.sealing import SealingError
from keys.views import pages
from keys.views.pages import GetOrPost
from projects.access import project_for
from projects.models import Role
from projects.reauthentication import FreshForm


class RecoverableForm(FreshForm):
    """The setting as it shall be: the page says which, so that a stale one doesn't turn it the other way."""

    on = forms.TypedChoiceField(
        choices=[("1", "on"), ("0", "off")], coerce=lambda text: text == "1", widget=forms.HiddenInput,
        error_messages={
            "required": "Open this form anew: it was sent without what to set.",
            "invalid_choice": "Open this form anew: what to set was changed.",
        },
    )  # fmt: skip


@GetOrPost
@never_cache
def key_reveal(request: HttpRequest, slug: str, key_id: str) -> HttpResponse:
    """Show a recoverable key again: its token stands in the answer to the POST, and nowhere else."""
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    key, at, actor = pages.key_of(access, key_id), timezone.now(), access.actor(request)
    may_reveal(actor, key)
    form, token = FreshForm(pages.posted(request), request=request), ""
    try:
        recovery.refuse_revealing(key, at)
        if request.method == "POST" and form.is_valid():
            token = recovery.reveal(access.project, key_id, actor=actor, at=at)
    except conflicts.Conflict as conflict:
        return pages.conflict(request, access, conflict)
    except SealingError as error:
        form.add_error(None, f"The sealed copy of this key can't be opened. {error}")
    shown: dict[str, Any] = {"key": key, "row": Row.of(key, actor, at), "token": token}
    return pages.form(request, access, tab_of(key), "keys/key_reveal.html", form, **shown)


@GetOrPost
@never_cache
def recoverable_keys(request: HttpRequest, slug: str) -> HttpResponse:
    """Turn the setting on or off; off says how many sealed copies that destroys."""
    access = project_for(request.user, slug, at_least=Role.OWNER)
    now_on = access.project.recoverable_keys
    form = RecoverableForm(pages.posted(request), request=request, initial={"on": "0" if now_on else "1"})
    if request.method == "POST" and form.is_valid():
        on = form.cleaned_data["on"]
        actor, at = access.actor(request), timezone.now()
        destroyed = recovery.set_recoverable(access.project, on, actor=actor, at=at)
        home = reverse("project_general", args=[slug])
        message = _told(on, destroyed)
        return go_to(request, home, message) if is_fragment(request) else see_other(request, home, message)
    context = pages.context(access, PROJECT_KEYS, form=form, on=now_on, rail="general")
    context["home"] = reverse("project_general", args=[slug])
    context["copies"] = recovery.sealed_copies(access.project) if now_on else 0
    status = 422 if form.errors else 200
    return answer(request, "keys/recoverable_keys.html", context, partial="dialog", status=status)


def _told(on: bool, destroyed: int) -> str:
    if on:
        return "New keys are recoverable from now on."
    copies = "1 sealed copy was" if destroyed == 1 else f"{destroyed:,} sealed copies were"
    return f"Keys aren't recoverable any more: {copies} destroyed."
