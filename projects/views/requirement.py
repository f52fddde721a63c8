"""The setting of a project that lets only members with a second factor in."""

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from config.fragments import answer, go_to, is_fragment, see_other
from projects.access import project_for
from projects.lifecycle import require_second_factor
from projects.models import Project, Role
from projects.reauthentication import FreshForm
from projects.second_factor import has_second_factor, members_without


class RequirementForm(FreshForm):
    """The setting as it shall be: the page says which, so that a stale one doesn't turn it the other way."""

    on = forms.TypedChoiceField(
        choices=[("1", "on"), ("0", "off")], coerce=lambda text: text == "1", widget=forms.HiddenInput,
        error_messages={
            "required": "Open this form anew: it was sent without what to set.",
            "invalid_choice": "Open this form anew: what to set was changed.",
        },
    )  # fmt: skip


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
def second_factor_required(request: HttpRequest, slug: str) -> HttpResponse:
    """Turn the setting on or off; on says how many members set one up when they next come."""
    access = project_for(request.user, slug, at_least=Role.OWNER)
    project, at = access.project, timezone.now()
    now_on = project.require_second_factor
    form = RequirementForm(
        request.POST if request.method == "POST" else None,
        request=request,
        initial={"on": "0" if now_on else "1"},
    )
    if request.method == "POST" and form.is_valid():
        on = form.cleaned_data["on"]
        try:
            require_second_factor(project, on, actor=access.actor(request), at=at)
        except ValidationError as error:
            form.take(error)
        else:
            return _done(request, project, on)
    context = {
        "access": access,
        "project": project,
        "rail": "general",
        "form": form,
        "on": now_on,
        "mine": has_second_factor(access.user),
        "without": members_without(project),
        "members": project.memberships.filter(user__is_active=True).count(),
        "setup": f"{reverse('second_factor')}?{urlencode({'next': request.path})}",
        "home": reverse("key_list", args=[slug]),
    }
    status = 422 if form.errors else 200
    return answer(request, "projects/second_factor_required.html", context, partial="dialog", status=status)


def _done(request: HttpRequest, project: Project, on: bool) -> HttpResponse:
    home = reverse("key_list", args=[project.slug])
    message = "Members need a second factor from now on." if on else "Members need no second factor any more."
    return go_to(request, home, message) if is_fragment(request) else see_other(request, home, message)
