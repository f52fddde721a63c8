"""The page of an invitation, for whoever is invited. Opening it accepts nothing: the button does.

Neither its address nor the token in it goes any further: the form posts to where it stands, and whoever must
sign in first comes back to an address that is theirs alone and holds no secret (`invitation_mine`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

from allauth.account.internal.flows.login import perform_password_login
from allauth.account.models import Login
from allauth.core import ratelimit
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from config.fragments import see_other
from projects import invitations
from projects.invitations import HasAccount, NotOpen
from projects.member_forms import ROLE_HINTS, ConfirmForm, JoinForm
from projects.models import Invitation, Membership, Role, User

_GetOrPost: Final = require_http_methods(["GET", "HEAD", "POST"])


@login_not_required
@never_cache
@_GetOrPost
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    at = timezone.now()
    return _answered(request, lambda: _welcome(request, invitations.opened_by(token, at), at))


@never_cache
@_GetOrPost
def invitation_mine(request: HttpRequest, invitation_id: str) -> HttpResponse:
    """The same page for whoever is signed in to the account that is invited: no link is needed."""
    at, user = timezone.now(), request.user
    assert isinstance(user, User)  # SignedInMiddleware lets nobody else come this far.
    return _answered(request, lambda: _welcome(request, invitations.waiting_for(user, invitation_id, at), at))


def _answered(request: HttpRequest, welcome: Callable[[], HttpResponse]) -> HttpResponse:
    refused: HttpResponse | None = ratelimit.consume_or_429(request, action="invitation", limit_get=True)
    if refused is not None:
        return refused
    try:
        return welcome()
    except NotOpen as closed:
        # Of a link that isn't good nothing is told, not even the project.
        status = 404 if closed.standing is None else 410
        context = {"standing": closed.standing}
        return render(request, "projects/invitation_closed.html", context, status=status)


def _welcome(request: HttpRequest, found: Invitation, at: datetime) -> HttpResponse:
    """Answer for an open invitation: whoever asks joins, or is told what to do first."""
    account = invitations.account_for(found)
    user = request.user
    if isinstance(user, User):
        if user == account:
            return _accept(request, found, user, at)
        return _page(request, found, "other", has_account=account is not None)
    if account is not None:
        return _page(request, found, "sign_in")
    return _join(request, found, at)


def _accept(request: HttpRequest, found: Invitation, user: User, at: datetime) -> HttpResponse:
    if found.project.memberships.filter(user=user).exists():
        return _page(request, found, "member")
    form = ConfirmForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            member = invitations.accept(found, user, at=at, address=_address(request))
        except ValidationError as error:
            form.take(error)
        else:
            return see_other(request, _keys(found), _said(member))
    return _page(request, found, "accept", form)


def _join(request: HttpRequest, found: Invitation, at: datetime) -> HttpResponse:
    form = JoinForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        # The password in no variable of another name: a report of an error leaves such out by theirs.
        name, password = form.cleaned_data["name"], form.cleaned_data["password1"]
        try:
            member = invitations.join(found, name=name, password=password, at=at, address=_address(request))
        except ValidationError as error:
            form.take(error)
        except HasAccount:
            return _page(request, found, "sign_in")
        else:
            return _signed_in(request, member, _keys(found))
    return _page(request, found, "join", form)


def _signed_in(request: HttpRequest, member: Membership, url: str) -> HttpResponse:
    """Sign a new person in, as the sign-in page would with the password that they have just chosen."""
    person = member.user
    login = Login(user=person, email=person.email, redirect_url=url)
    response: HttpResponse = perform_password_login(request, {"email": person.email}, login)
    messages.success(request, _said(member))
    return response


def _page(request: HttpRequest, found: Invitation, way: str, form: Any = None, **more: Any) -> HttpResponse:
    """Answer with the page of an invitation.

    `way` says how to go on: join, accept, sign_in, member (already) or other (than who is invited). Whatever
    was posted where there is no form came too late: 409.
    """
    status = 200
    if form is None and request.method == "POST":
        status = 409
    elif form is not None and form.errors:
        status = 422
    role = Role(found.role)
    context = {
        "invitation": found,
        "role": role.label,
        "role_hint": ROLE_HINTS[role],
        "way": way,
        "form": form,
        "mine": reverse("invitation_mine", args=[found.public_id]),
        "keys": _keys(found),
        **more,
    }
    return render(request, "projects/invitation.html", context, status=status)


def _keys(found: Invitation) -> str:
    return reverse("key_list", args=[found.project.slug])


def _said(member: Membership) -> str:
    return f"You joined {member.project.name} as {Role(member.role).label}."


def _address(request: HttpRequest) -> str | None:
    address: str | None = getattr(request, "client_address", None)
    return address
