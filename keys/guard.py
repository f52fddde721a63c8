"""`@require_key`: the check of a key in front of a Django view, with the answers of the JSON API."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator

from keys import answers
from keys.api.requests import Refused, called_from, decided, presented_token, refuse_token_in_query
from keys.kinds import Environment
from keys.scopes import is_scope
from keys.verification import Facts, check
from projects.models import SLUG_LENGTH

V = TypeVar("V", bound=Callable[..., Any])

_SLUG: Final = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{SLUG_LENGTH - 1}}}")
# Where a token is presented: an answer to one key is none to another, whatever caches stand in between.
_VARY: Final = ("Authorization", "X-API-Key")


def require_key(
    *scopes: str, project: str, channel: str = "", environment: str = Environment.LIVE
) -> Callable[[V], V]:
    """Return a decorator that lets only requests with a good key through, and sets `request.key`, its facts.

    The key must be one of `project` and have all of `scopes`. A channel's key passes only where its channel
    is named, a test key only with `environment="test"`. Any other request gets the JSON API's problem
    document, and 503 where nothing can be decided; the view isn't called then. One query.

    For functions, asynchronous ones too, for classes, and for `dispatch` by `method_decorator`. Neither a
    session nor a CSRF token is asked for: no browser sends a key by itself. Raises ValueError for an argument
    that no key could fit.
    """
    guard = _Guard(scopes, project, channel, environment)

    def decorate(view: V) -> V:
        if isinstance(view, type):
            return method_decorator(decorate, name="dispatch")(view)
        return _guarded(view, guard)  # type: ignore[return-value]

    return decorate


@dataclass(frozen=True, slots=True)
class _Guard:
    """What a view demands of a key."""

    scopes: tuple[str, ...]
    project: str
    channel: str
    environment: str

    def __post_init__(self) -> None:
        for scope in self.scopes:
            if not is_scope(scope):
                raise ValueError(f"“{scope}” is no scope")
        for slug in (self.project, self.channel or self.project):
            if not _SLUG.fullmatch(slug):
                raise ValueError(f"“{slug}” is no slug")
        if self.environment not in Environment.values:
            raise ValueError(f"“{self.environment}” is no environment")

    def admit(self, request: HttpRequest) -> HttpResponse | None:
        """Set `request.key` and return None; or return the problem that the request is answered with."""
        try:
            request.key = decided(lambda: self._facts(request))  # type: ignore[attr-defined]
        except Refused as refused:
            return refused.problem.response()
        return None

    def _facts(self, request: HttpRequest) -> Facts:
        refuse_token_in_query(request)
        presented = presented_token(request)
        if presented is None:
            raise Refused(answers.NO_CREDENTIALS)
        verdict = check(
            presented,
            at=timezone.now(),
            project=self.project,
            scopes=self.scopes,
            environment=self.environment,
            channel=self.channel,
            source=called_from(request),
        )
        if not verdict.is_valid or verdict.facts is None:
            raise Refused(answers.problem_of(verdict))
        return verdict.facts


def _guarded(view: Callable[..., Any], guard: _Guard) -> Callable[..., Any]:
    def at_once(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return _varying(guard.admit(request) or view(request, *args, **kwargs))

    async def awaited(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        refusal = await sync_to_async(guard.admit)(request)
        return _varying(refusal or await view(request, *args, **kwargs))

    guarded = wraps(view)(awaited if _is_async(view) else at_once)
    guarded.csrf_exempt = True  # type: ignore[attr-defined]
    guarded.login_required = False  # type: ignore[attr-defined]
    return guarded


def _is_async(view: Callable[..., Any]) -> bool:
    # The `dispatch` of an asynchronous class is a plain function, and comes here as a partial of the method.
    owner = getattr(getattr(view, "func", view), "__self__", None)
    return iscoroutinefunction(view) or bool(getattr(owner, "view_is_async", False))


def _varying(answer: Any) -> Any:
    # What is no answer is for Django to say.
    if isinstance(answer, HttpResponseBase):
        patch_vary_headers(answer, _VARY)
    return answer
