"""The pages for what goes wrong, and the headers that every answer carries."""

import json
import logging
from io import StringIO
from typing import Any, NoReturn

import pytest
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisConnectionError

from config import urls
from config.addresses import TrustedProxies
from config.logs import JsonLines
from keys import problems
from keys.throttles import ThrottleUnavailable

TOKEN = "kr_live_7Fq2aaaaaaaa" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"

handler400, handler403 = urls.handler400, urls.handler403
handler404, handler429, handler500 = urls.handler404, urls.handler429, urls.handler500


@login_not_required
def broken(request: HttpRequest, presented: str = TOKEN) -> NoReturn:
    raise RuntimeError(f"can't read {presented}")


def away(kind: str) -> NoReturn:
    errors: dict[str, Exception] = {
        "database": OperationalError("connection to server at 10.0.0.7 failed: Connection refused"),
        "closed": InterfaceError("connection already closed"),
        "redis": RedisConnectionError("Error 111 connecting to 10.0.0.7:6379."),
        "throttles": ThrottleUnavailable(),
    }
    raise errors[kind]


@login_not_required
def outage(request: HttpRequest, kind: str) -> NoReturn:
    away(kind)


@login_not_required
def mistake(request: HttpRequest) -> NoReturn:
    """A column that isn't there, which SQLite's module calls an OperationalError."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT nothing_like_it FROM keys_key")
    raise AssertionError


@login_not_required
def forbidden(request: HttpRequest) -> NoReturn:
    raise PermissionDenied("You can't do that in Acme.")


@login_not_required
def suspicious(request: HttpRequest) -> NoReturn:
    raise SuspiciousOperation(TOKEN)


@login_not_required
def address(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.client_address} {request.scheme}")  # type: ignore[attr-defined]


urlpatterns = [
    path("broken/", broken),
    path("forbidden/", forbidden),
    path("suspicious/", suspicious),
    path("address/", address),
    path("away/<str:kind>/", outage),
    path("api/away/<str:kind>", outage),
    path("mistake/", mistake),
    path("api/broken", broken),
    path("api/forbidden", forbidden),
    *urls.urlpatterns,
]
pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def test_a_missing_page_says_so_without_repeating_the_path(client: Client) -> None:
    response = client.get(f"/{TOKEN}/")
    assert response.status_code == 404
    page = response.content.decode()
    assert "We can't find that. It may be in another project, or gone." in page
    assert "kr_live" not in page


def test_what_one_may_not_do_names_the_project(client: Client) -> None:
    response = client.get("/forbidden/")
    assert response.status_code == 403
    assert "You can&#x27;t do that in Acme." in response.content.decode()


def test_a_bad_request_does_not_repeat_what_was_sent(client: Client) -> None:
    response = client.get("/suspicious/")
    assert response.status_code == 400
    assert "kr_live" not in response.content.decode()


def test_an_unknown_host_is_a_bad_request(client: Client) -> None:
    response = client.get("/account/login/", headers={"host": "evil.example"})
    assert response.status_code == 400
    assert "evil" not in response.content.decode()


def test_the_error_page_shows_the_id_of_the_request(client: Client) -> None:
    response = client.get("/broken/")
    assert response.status_code == 500
    reference = response["X-Request-Id"]
    page = response.content.decode()
    assert "Something broke on our side. Nothing was changed." in page
    assert f"Reference <code>{reference}</code>" in page
    assert "console." in page


def test_the_error_page_needs_no_static_files(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> NoReturn:
        raise ValueError(name)

    monkeypatch.setattr("config.errors.static", missing)
    assert "Something broke on our side." in client.get("/broken/").content.decode()


def test_a_form_out_of_date_gets_a_page_of_our_own() -> None:
    response = Client(enforce_csrf_checks=True).post("/account/login/", {})
    assert response.status_code == 403
    assert "This form is out of date" in response.content.decode()


@pytest.mark.parametrize(
    ("url", "status", "title"),
    [
        ("/api/broken", 500, "Internal Server Error"),
        ("/api/forbidden", 403, "Forbidden"),
        ("/api/v1/nothing", 404, "Not Found"),
    ],
)
def test_the_api_answers_with_a_problem(client: Client, url: str, status: int, title: str) -> None:
    response = client.get(url)
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    problem = json.loads(response.content)
    assert (problem["title"], problem["status"]) == (title, status)
    assert "kr_live" not in response.content.decode()


# While something is away


@pytest.mark.parametrize("kind", ["database", "closed", "redis", "throttles"])
def test_while_something_is_away_a_page_says_when_to_come_back(
    client: Client, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    response = client.get(f"/away/{kind}/")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert response["Cache-Control"] == "no-store"
    page = response.content.decode()
    assert "Back in a moment" in page
    assert "console." in page
    assert "10.0.0.7" not in page
    # One line without a traceback: there is one for every request of an outage.
    (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.getMessage().startswith(
        "The database doesn't answer: " if kind in ("database", "closed") else "The Redis doesn't answer: "
    )
    assert not line.exc_info


@pytest.mark.parametrize("kind", ["database", "closed", "redis", "throttles"])
def test_while_something_is_away_the_api_answers_with_a_problem(client: Client, kind: str) -> None:
    response = client.post(f"/api/away/{kind}")
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    problem = json.loads(response.content)
    assert problem["type"] == problems.UNAVAILABLE.urn
    assert "10.0.0.7" not in response.content.decode()


def test_a_mistake_in_a_query_is_no_outage(client: Client) -> None:
    assert client.get("/mistake/").status_code == 500


# Headers


@pytest.mark.parametrize(
    "url", ["/account/login/", "/nothing/", "/broken/", "/api/v1/whoami", "/static/nothing.css"]
)
def test_every_answer_carries_the_policy(client: Client, url: str) -> None:
    response = client.get(url)
    policy = {part.strip() for part in response["Content-Security-Policy"].split(";")}
    assert policy == {
        "default-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    }
    assert response["X-Frame-Options"] == "DENY"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Referrer-Policy"] == "same-origin"
    assert len(response["X-Request-Id"]) == 16


def test_static_files_are_kept_for_ever_and_compressed(client: Client) -> None:
    page = client.get("/account/login/").content.decode()
    href = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    response = client.get(href, headers={"Accept-Encoding": "br"})
    assert response.status_code == 200
    assert "immutable" in response["Cache-Control"]
    assert response["Content-Encoding"] == "br"


def test_pages_are_compressed(client: Client) -> None:
    response = client.get("/account/login/", headers={"Accept-Encoding": "gzip"})
    assert response["Content-Encoding"] == "gzip"


def test_the_id_of_a_request_is_ours(client: Client) -> None:
    response = client.get("/account/login/", headers={"X-Request-Id": "0123456789abcdef"})
    assert response["X-Request-Id"] != "0123456789abcdef"


# Addresses and schemes, as the middleware passes them on


def test_a_stranger_cannot_pass_off_http_as_https(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.66"}
    assert client.get("/address/", headers=headers).content == b"127.0.0.1 http"


def test_a_trusted_proxy_can(client: Client, settings: Settings) -> None:
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.KEYRACK_TRUSTED_PROXIES = TrustedProxies.parse("127.0.0.0/8")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.66"}
    assert client.get("/address/", headers=headers).content == b"203.0.113.66 https"


# The log


def records(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record for record in caplog.records if record.name == "keyrack.access"]


def test_each_request_is_one_line_without_the_query(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/address/", {"q": "pasted"})
    (record,) = records(caplog)
    assert record.getMessage() == "GET /address/"
    assert (record.status, record.address) == (200, "127.0.0.1")
    assert "pasted" not in caplog.text


def test_the_path_of_a_line_is_redacted(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        client.get(f"/{TOKEN}/")
    (record,) = records(caplog)
    assert record.getMessage() == "GET /kr_live_[redacted]/"


def test_an_error_is_written_with_the_id_and_without_the_token(client: Client) -> None:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLines())
    logging.getLogger().addHandler(handler)
    try:
        reference = client.get("/broken/")["X-Request-Id"]
    finally:
        logging.getLogger().removeHandler(handler)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    (error,) = [line for line in lines if line["level"] == "ERROR"]
    assert error["request_id"] == reference
    assert "RuntimeError" in error["exc_info"]
    assert "S3cret" not in written.getvalue()
