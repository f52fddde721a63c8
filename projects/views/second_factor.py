"""The pages of a person's second factor. They stand beside the account's; a GET of them writes nothing."""

import time
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from allauth.account.internal.decorators import login_stage_required
from allauth.account.utils import get_next_redirect_url
from allauth.mfa.base.views import AuthenticateView
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from config.fragments import see_other
from config.redaction import holds_token
from projects import second_factor as factor
from projects.account_forms import FirstCodeForm, SetUpForm
from projects.adapter import CodeStage, still_holds
from projects.audit import Actor
from projects.models import Project, Role, User
from projects.moments import Moment
from projects.pictures import QRPicture, qr_picture
from projects.reauthentication import FreshForm, attempt

# The session, which is encrypted at rest, keeps a secret until its first code, and no longer than this.
_PENDING: Final = "second_factor.pending"
_PENDING_SECONDS: Final = 30 * 60

_SET_UP_BEFORE: Final = (
    "Nothing was changed: this was sent a second time, or too late. Recovery codes are shown once: if you"
    " missed them, make new ones."
)
_IS_OFF: Final = "Nothing was changed: your second factor is off."

GetOrPost: Final = require_http_methods(["GET", "HEAD", "POST"])


# What a page shows of a secret. Neither has a `repr` that says it: an error report shows what a page got.


@dataclass(frozen=True, slots=True, repr=False)
class _SetUp:
    """An app's secret, as a picture for its camera and in groups to type in."""

    picture: QRPicture
    groups: list[str]

    @classmethod
    def of(cls, person: User, secret: str) -> "_SetUp":
        groups = [secret[start : start + 4] for start in range(0, len(secret), 4)]
        return cls(qr_picture(factor.setup_address(person, secret)), groups)


@dataclass(frozen=True, slots=True, repr=False)
class _Codes:
    """Recovery codes, one a line."""

    codes: list[str]


@GetOrPost
@never_cache
def second_factor(request: HttpRequest) -> HttpResponse:
    """What stands between a stolen password and the account; a POST begins to set it up."""
    form = SetUpForm(_posted(request), request=request)
    if request.method == "POST":
        if factor.has_second_factor(_person(request)):
            return _too_late(request, "Your second factor is on already.")
        if form.is_valid():
            _begin(request)
            return see_other(request, _address("second_factor_activate", request))
    return _overview(request, form, status=422 if form.errors else 200)


@GetOrPost
@never_cache
def second_factor_activate(request: HttpRequest) -> HttpResponse:
    """The secret for the app, and its first code; then recovery codes, in the answer to that POST alone."""
    person, secret = _person(request), _pending(request)
    if not secret or factor.has_second_factor(person):
        return _too_late(request, _SET_UP_BEFORE)
    form = FirstCodeForm(_posted(request), request=request)
    if request.method == "POST" and form.is_valid():
        try:
            codes = _turn_on(request, secret, form.cleaned_data["code"])
        except ValidationError as error:
            form.take(error)
        except factor.AlreadyOn:
            return _too_late(request, _SET_UP_BEFORE)
        else:
            return _shown_once(request, codes)
    context = {"form": form, "setup": _SetUp.of(person, secret)}
    return _page(request, "second_factor_activate", context, 422 if form.errors else 200)


@GetOrPost
@never_cache
def second_factor_deactivate(request: HttpRequest) -> HttpResponse:
    form = FreshForm(_posted(request), request=request)
    if not factor.has_second_factor(_person(request)):
        return _too_late(request, _IS_OFF)
    if request.method == "POST" and form.is_valid():
        try:
            factor.turn_off(_person(request), actor=_actor(request), at=timezone.now())
        except factor.NoSecondFactor:
            return _too_late(request, _IS_OFF)
        return see_other(request, reverse("second_factor"), "Your second factor is off.")
    context = {"form": form, "requiring": _requiring(request)}
    return _page(request, "second_factor_deactivate", context, 422 if form.errors else 200)


@GetOrPost
@never_cache
def recovery_codes_make(request: HttpRequest) -> HttpResponse:
    """New recovery codes, in the answer to the POST that made them and nowhere else."""
    form = FreshForm(_posted(request), request=request)
    if not factor.has_second_factor(_person(request)):
        return _too_late(request, _IS_OFF)
    if request.method == "POST" and form.is_valid():
        try:
            codes = factor.make_codes(_person(request), actor=_actor(request), at=timezone.now())
        except factor.NoSecondFactor:
            return _too_late(request, _IS_OFF)
        return _shown_once(request, codes)
    return _page(request, "recovery_codes_make", {"form": form}, 422 if form.errors else 200)


@require_POST
@never_cache
def recovery_codes_download(request: HttpRequest) -> HttpResponse:
    """The recovery codes that the page still shows, as a file: they come back in the body, not in a URL."""
    person, codes = _person(request), request.POST.get("codes", "").split()
    if not factor.are_current(person, codes):
        return _overview(
            request, status=422, note="These recovery codes don't work any more. Nothing was downloaded."
        )
    lines = [f"# Recovery codes of {person.email} at {settings.KEYRACK_URL}", "# Each works once.", *codes]
    response = HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="keyrack-recovery-codes.txt"'
    return response


@require_POST
def recovery_codes_saved(request: HttpRequest) -> HttpResponse:
    """“I've saved them”: noted, and on to where the person wanted to go."""
    if not factor.mark_saved(_person(request)):
        return _too_late(request, _IS_OFF)
    message = "Your second factor is on, and its recovery codes are saved."
    return see_other(request, _next(request) or reverse("second_factor"), message)


class _SignInCode(AuthenticateView):  # type: ignore[misc]
    """The second step of a sign-in: django-allauth's page, for codes alone."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        stage = request._login_stage  # type: ignore[attr-defined]
        if not still_holds(stage):
            response: HttpResponseBase = stage.abort()
            return response
        answered: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        return answered

    def _build_forms(self) -> Any:
        # Whatever is posted is a code: without one, django-allauth would look for a security key.
        self.webauthn_form = None
        self.auth_form = self.get_form_class()(user=self.stage.login.user, data=_posted(self.request))
        return self.auth_form


sign_in_code = login_stage_required(stage=CodeStage.key, redirect_urlname="account_login")(
    _SignInCode.as_view()
)


def _turn_on(request: HttpRequest, secret: str, code: str) -> list[str]:
    usage = attempt(request, _person(request))
    codes = factor.turn_on(_person(request), secret, code, actor=_actor(request), at=timezone.now())
    usage.rollback()
    del request.session[_PENDING]
    return codes


# What the pages share


def _overview(
    request: HttpRequest, form: SetUpForm | None = None, *, status: int = 200, note: str = ""
) -> HttpResponse:
    on = factor.second_factor_of(_person(request))
    context = {
        "on": on,
        "since": Moment.of(on.since) if on else None,
        "used": Moment.of(on.last_used) if on and on.last_used else None,
        "form": form or SetUpForm(request=request),
        "requiring": _requiring(request),
        "note": note,
    }
    return _page(request, "second_factor", context, status)


def _too_late(request: HttpRequest, note: str) -> HttpResponse:
    """Lead to the overview; whoever posted to what is done already is told so (409)."""
    if request.method != "POST":
        return redirect(_address("second_factor", request))
    return _overview(request, status=409, note=note)


def _shown_once(request: HttpRequest, codes: list[str]) -> HttpResponse:
    return _page(request, "recovery_codes", {"shown": _Codes(codes)}, 200)


def _page(request: HttpRequest, name: str, context: dict[str, Any], status: int) -> HttpResponse:
    shown = {**context, "next": _next(request)}
    return render(request, f"projects/{name}.html", shown, status=status)


def _requiring(request: HttpRequest) -> list[Project]:
    """Return the projects of the person that open only with a second factor."""
    return list(Project.objects.of(_person(request)).filter(require_second_factor=True))


# A secret that waits for its first code


def _begin(request: HttpRequest) -> None:
    """Keep a new secret in the session; one that waits already stays, for a page that shows it."""
    if not _pending(request):
        request.session[_PENDING] = {"secret": factor.new_secret(), "at": time.time()}


def _pending(request: HttpRequest) -> str:
    pending = request.session.get(_PENDING, {"secret": "", "at": 0})
    return pending["secret"] if 0 <= time.time() - pending["at"] < _PENDING_SECONDS else ""


# Where to


def _address(name: str, request: HttpRequest) -> str:
    after = _next(request)
    return f"{reverse(name)}?{urlencode({'next': after})}" if after else reverse(name)


def _next(request: HttpRequest) -> str:
    """Return where the person wanted to go, if that is a page of ours and holds no key."""
    address = get_next_redirect_url(request) or ""
    return "" if holds_token(unquote(address)) else address


def _posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def _actor(request: HttpRequest) -> Actor:
    return Actor.person(_person(request), Role.VIEWER, getattr(request, "client_address", None))


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("Nobody is signed in.")
    return request.user
