"""What the pages of a project's settings share: their context, and how a dialog is answered."""

from typing import Any, Final

from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.http import require_http_methods

from config.fragments import answer, go_to, is_fragment, see_other
from projects.access import Access
from projects.models import Role

GetOrPost: Final = require_http_methods(["GET", "HEAD", "POST"])


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what a form is bound to: whatever was posted, nothing of it included."""
    return request.POST if request.method == "POST" else None


def context(access: Access, rail: str, **more: Any) -> dict[str, Any]:
    """Return what every page of the settings knows; `rail` is the link of the rail that is current."""
    return {
        "access": access,
        "project": access.project,
        "rail": rail,
        "is_admin": access.at_least(Role.ADMIN),
        "is_owner": access.at_least(Role.OWNER),
        **more,
    }


def dialog(
    request: HttpRequest, access: Access, rail: str, template: str, form: Any, *, status: int = 0, **more: Any
) -> HttpResponse:
    """Answer with a dialog that holds a form: 422 where it was refused, unless `status` says otherwise."""
    shown = context(access, rail, form=form, **more)
    return answer(request, template, shown, partial="dialog", status=status or (422 if form.errors else 200))


def leave(request: HttpRequest, url: str, message: str) -> HttpResponse:
    """Answer a verb with another page, which shows the message."""
    return go_to(request, url, message) if is_fragment(request) else see_other(request, url, message)
