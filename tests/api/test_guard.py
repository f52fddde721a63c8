"""`@require_key` in front of views: the API's verdicts and answers; a view runs for good keys alone."""

import json
from datetime import datetime
from typing import Any, Final

import pytest
from asgiref.sync import async_to_sync
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils.decorators import method_decorator
from django.views import View

from config import urls
from keys import lifecycle, verification
from keys.guard import require_key
from keys.kinds import KeyType
from keys.throttles import ThrottleUnavailable
from projects.audit import Actor
from projects.models import Project
from tests.api.conftest import MakeKey
from tests.api.gates import AUTHORIZE
from tests.factories import ChannelFactory, ProjectFactory

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]

called: list[str] = []
reads = require_key("sources:read", project="acme")


def told(request: HttpRequest) -> HttpResponse:
    facts = request.key  # type: ignore[attr-defined]
    called.append(facts.key_id)
    return JsonResponse({"name": facts.name, "writes": facts.grant.allows("sources:write")})


@reads
def function(request: HttpRequest, part: str) -> HttpResponse:
    return told(request)


@reads
async def coroutine(request: HttpRequest, part: str) -> HttpResponse:
    return told(request)


@method_decorator(reads, name="dispatch")
class Dispatched(View):
    def get(self, request: HttpRequest, part: str) -> HttpResponse:
        return told(request)

    post = get


@reads
class Decorated(View):
    def get(self, request: HttpRequest, part: str) -> HttpResponse:
        return told(request)

    post = get


@reads
class Asynchronous(View):
    async def get(self, request: HttpRequest, part: str) -> HttpResponse:
        return told(request)

    post = get


@require_key("sources:read", project="acme", channel="support")
def in_channel(request: HttpRequest) -> HttpResponse:
    return told(request)


@require_key(project="acme", environment="test")
def in_tests(request: HttpRequest) -> HttpResponse:
    return told(request)


@require_key(project="acme")
def broken(request: HttpRequest) -> HttpResponse:
    raise OperationalError("The view's own")


FORMS: Final[dict[str, Any]] = {
    "function": function,
    "coroutine": coroutine,
    "dispatch": Dispatched.as_view(),
    "class": Decorated.as_view(),
    "asynchronous": Asynchronous.as_view(),
}
urlpatterns = [
    *(path(f"{name}/<str:part>", view) for name, view in FORMS.items()),
    path("channel", in_channel),
    path("tests", in_tests),
    path("broken", broken),
    path("", include(urls)),
]
handler500 = urls.handler500


@pytest.fixture(autouse=True)
def _none_called() -> None:
    called.clear()


@pytest.fixture(params=list(FORMS))
def url(request: pytest.FixtureRequest, _connections_stay: None) -> str:
    return f"/{request.param}/1"


def ask(url: str, token: str = "", *, method: str = "GET", **headers: str) -> HttpResponse:
    own = {"Authorization": f"Bearer {token}"} if token else {}
    given = own | {name.replace("_", "-"): value for name, value in headers.items()}
    # As a browser's form would be held up by Django, without a cookie and a token of its own.
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    return client.generic(method, url, headers=given)  # type: ignore[return-value]


@pytest.fixture
def presented(project: Project, make: MakeKey, at: datetime) -> dict[str, dict[str, str]]:
    """What is presented, by what `authorize` and a view must both say of it."""
    for slug in ("support", "sales"):
        ChannelFactory(project=project, slug=slug)
    act: dict[str, Any] = {"actor": Actor.system("Mara"), "at": at}
    revoked, paused = make("Revoked"), make("Paused")
    lifecycle.revoke(project, revoked.key.key_id, **act)
    lifecycle.pause(project, paused.key.key_id, **act)
    tokens = {
        "": make("Good").token,
        "malformed": "kr_live_x",
        "unknown": make("Far", project=ProjectFactory(slug="elsewhere")).token,
        "revoked": revoked.token,
        "paused": paused.token,
        "wrong-environment": make("Test", environment="test").token,
        "network-not-allowed": make("Near", networks=["192.0.2.0/24"]).token,
        "wrong-channel": make("Sales", type=KeyType.CHANNEL, channel="sales", holder="Nora").token,
        "scope-missing": make("Writer", scopes=["sources:write"]).token,
    }
    found = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
    return found | {
        "no-credentials": {},
        "by X-API-Key": {"X-API-Key": tokens[""]},
    }


def test_a_view_says_what_authorize_says(url: str, presented: dict[str, dict[str, str]]) -> None:
    for name, headers in presented.items():
        for method in ("GET", "POST"):
            called.clear()
            here = ask(url, method=method, **headers)
            there = ask(f"{AUTHORIZE}?project=acme&scope=sources:read", **headers)
            assert here.status_code == there.status_code, name
            assert here["Vary"] == "Authorization, X-API-Key"
            if there.status_code == 200:
                assert called == [there["X-Keyrack-Key-Id"]]
                assert json.loads(here.content) == {"name": "Good", "writes": False}
            else:
                assert called == []
                assert here.content == there.content
                assert json.loads(here.content)["type"].endswith(name)
                for header in ("Content-Type", "Cache-Control", "WWW-Authenticate"):
                    assert here.get(header) == there.get(header)


def test_an_exceeded_rate_is_429(url: str, make: MakeKey) -> None:
    token = make(rate="1/hour").token
    assert ask(url, token).status_code == 200
    answer = ask(url, token)
    assert answer.status_code == 429
    assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(answer.headers)
    assert len(called) == 1


def test_a_token_in_the_query_and_two_of_them_are_400(url: str, make: MakeKey) -> None:
    one, other = make().token, make("Other").token
    for answer in (ask(f"{url}?key={one}", one), ask(url, one, X_API_Key=other)):
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
    assert called == []


def test_where_nothing_can_be_decided_it_is_503(
    url: str, make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = make().token
    monkeypatch.setattr(type(connection), "close", lambda self: None, raising=False)
    for error in (OperationalError, ThrottleUnavailable):

        def away(key_id: str, error: type[Exception] = error) -> None:
            raise error

        monkeypatch.setattr(verification, "_read", away)
        answer = ask(url, token)
        assert (answer.status_code, answer["Retry-After"]) == (503, "1")
    assert called == []


def test_an_error_of_the_views_own_stays_its_own(make: MakeKey) -> None:
    assert ask("/broken", make().token).status_code == 500


def test_a_channel_and_an_environment_can_be_named(project: Project, make: MakeKey) -> None:
    ChannelFactory(project=project, slug="support")
    support = make("Support", type=KeyType.CHANNEL, channel="support", holder="Nora").token
    tests = make("Test", environment="test", scopes=["chat:send"]).token
    assert ask("/channel", support).status_code == 200
    assert ask("/tests", tests).status_code == 200
    assert ask("/channel", tests).status_code == 401
    assert ask("/tests", support).status_code == 401


@pytest.mark.usefixtures("_connections_stay")
def test_it_works_under_asgi(make: MakeKey) -> None:
    good = make().token
    for name in FORMS:
        for token, status in ((good, 200), ("x", 401)):
            answer = async_to_sync(AsyncClient().get)(
                f"/{name}/1", headers={"Authorization": f"Bearer {token}"}
            )
            assert answer.status_code == status, name
    assert len(called) == len(FORMS)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["sources"]}, {"scopes": ["*"]}, {"scopes": ["Sources:read"]}, {"project": "Acme"},
        {"project": ""}, {"channel": "a b"}, {"environment": "prod"}, {"environment": ""},
    ],
)  # fmt: skip
def test_what_no_key_could_fit_is_said_at_once(wrong: dict[str, Any]) -> None:
    given = {"project": "acme"} | wrong
    with pytest.raises(ValueError, match=r"is no (scope|slug|environment)"):
        require_key(*given.pop("scopes", ()), **given)
