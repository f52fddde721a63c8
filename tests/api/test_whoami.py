"""`GET /api/v1/whoami`: every verdict as it stands on the wire."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import InterfaceError, OperationalError, connection
from django.http import HttpResponse
from django.test import Client

from keys import lifecycle, tokens
from keys.answers import problem_of
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.tokens import Token
from keys.verification import Outcome, Verdict
from projects.audit import Actor
from projects.models import Project, User
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

URL = "/api/v1/whoami"
REALM = 'Bearer realm="keyrack"'
DAY = timedelta(days=1)


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(
        project=project,
        at=at.replace(microsecond=0) - DAY,
        name="Docs crawler",
        scopes=["sources:read", "chat:send"],
        expires_at=datetime(2099, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    )


def ask(token: str, **headers: str) -> HttpResponse:
    return Client().get(URL, headers={"Authorization": f"Bearer {token}", **headers})  # type: ignore[return-value]


def problem(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    """Return the body, once it has proved to be a whole problem document that nobody keeps."""
    body: dict[str, Any] = response.json()  # type: ignore[attr-defined]
    assert response.status_code == status
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    assert (body["type"], body["status"]) == (f"urn:keyrack:problem:{code}", status)
    assert body["title"]
    assert body["detail"]
    assert not response.cookies
    return body


def test_a_good_key_is_told_what_it_is_and_may_do(issued: Issued, at: datetime) -> None:
    response = ask(issued.token)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert "WWW-Authenticate" not in response
    created = (at.replace(microsecond=0) - DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert response.json() == {  # type: ignore[attr-defined]
        "key_id": issued.key.key_id,
        "name": "Docs crawler",
        "type": "restricted",
        "environment": "live",
        "project": "acme",
        "scopes": ["chat:send", "sources:read"],
        "channel": None,
        "created_at": created,
        "expires_at": "2099-12-31T23:59:59Z",
    }


@pytest.mark.parametrize(
    ("key_type", "scopes"),
    [
        (KeyType.PRIVILEGED, ["*"]),
        (
            KeyType.VIEWER,
            ["agents:read", "chat:read", "chat:send", "sources:read", "workflows:read"],
        ),
    ],
)
def test_a_wide_key_is_told_its_scopes_of_the_project_s_catalogue(
    project: Project, key_type: str, scopes: list[str]
) -> None:
    body = ask(IssuedFactory(project=project, type=key_type).token).json()  # type: ignore[attr-defined]
    assert (body["scopes"], body["expires_at"]) == (scopes, None)


def test_a_viewer_s_reads_grow_with_the_catalogue_of_its_own_project(project: Project) -> None:
    issued = IssuedFactory(project=project, type=KeyType.VIEWER)
    project.resources.create(name="invoices", label="Invoices", actions=["read", "pay"])
    ProjectFactory().resources.create(name="secrets", label="Secrets", actions=["read"])
    scopes = ask(issued.token).json()["scopes"]  # type: ignore[attr-defined]
    assert "invoices:read" in scopes
    assert not {"invoices:pay", "secrets:read"} & set(scopes)


def test_a_test_key_is_told_who_it_is_too(project: Project) -> None:
    body = ask(IssuedFactory(project=project, environment="test").token).json()  # type: ignore[attr-defined]
    assert body["environment"] == "test"


def test_a_name_of_any_script_comes_whole(project: Project) -> None:
    body = ask(IssuedFactory(project=project, name="Größe “日本” \N{KEY}").token).json()  # type: ignore[attr-defined]
    assert body["name"] == "Größe “日本” \N{KEY}"


# How a key is presented.


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer {}"},
        {"Authorization": "bearer {}"},
        {"Authorization": "BEARER   {} "},
        {"X-API-Key": "{}"},
        {"X-API-Key": " {} "},
        {"Authorization": "Bearer {}", "X-API-Key": "{}"},
        # What is no key's scheme isn't looked at.
        {"Authorization": "Basic dTpw", "X-API-Key": "{}"},
        {"Authorization": "Bearer", "X-API-Key": "{}"},
    ],
)
def test_a_key_is_presented_in_either_header(client: Client, issued: Issued, headers: dict[str, str]) -> None:
    sent = {name: value.format(issued.token) for name, value in headers.items()}
    assert client.get(URL, headers=sent).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic dTpw"},
        {"Authorization": "{}"},
        {"X-API-Key": ""},
        {"Cookie": "token={}"},
    ],
)
def test_without_credentials_it_asks_for_them_and_names_no_error(
    client: Client, issued: Issued, headers: dict[str, str]
) -> None:
    sent = {name: value.format(issued.token) for name, value in headers.items()}
    response: Any = client.get(URL, headers=sent)
    problem(response, 401, "no-credentials")
    assert response["WWW-Authenticate"] == REALM


def test_two_different_keys_are_refused_and_neither_is_looked_up(
    client: Client, issued: Issued, django_assert_num_queries: Any
) -> None:
    other = tokens.generate("live").text
    with django_assert_num_queries(0):
        response: Any = client.get(
            URL, headers={"Authorization": f"Bearer {issued.token}", "X-API-Key": other}
        )
    problem(response, 400, "two-credentials")
    assert response["WWW-Authenticate"] == f'{REALM}, error="invalid_request"'


@pytest.mark.parametrize(
    "query",
    [
        "access_token={}", "api_key={}", "q=1&key=x{}", "{}", "{}=1", "a={}&a=1", "a=1&a={}",
        "note=%6Br_live_{}",
    ],
)  # fmt: skip
def test_a_key_in_the_query_is_refused_even_beside_a_good_header(
    client: Client, issued: Issued, query: str
) -> None:
    text = issued.token.removeprefix("kr_live_") if "%6B" in query else issued.token
    for headers in ({}, {"Authorization": f"Bearer {issued.token}"}):
        response: Any = client.get(f"{URL}?{query.format(text)}", headers=headers)
        problem(response, 400, "token-in-query")
        assert response["WWW-Authenticate"] == f'{REALM}, error="invalid_request"'
        assert issued.token[8:] not in response.content.decode()


def test_another_query_changes_nothing(client: Client, issued: Issued) -> None:
    headers = {"X-API-Key": issued.token}
    assert client.get(f"{URL}?verbose=1", headers=headers).status_code == 200


def test_a_session_opens_nothing(client: Client, owner: User) -> None:
    client.force_login(owner)
    problem(client.get(URL), 401, "no-credentials")  # type: ignore[arg-type]


# Refusals.


def _unknown(issued: Issued, project: Project, at: datetime) -> str:
    return tokens.generate("live").text


def _wrong_secret(issued: Issued, project: Project, at: datetime) -> str:
    return Token("live", issued.key.key_id, tokens.generate("live").secret).text


def _of_a_deleted_project(issued: Issued, project: Project, at: datetime) -> str:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    return issued.token


def _renewed(issued: Issued, project: Project, at: datetime) -> str:
    lifecycle.renew(project, issued.key.key_id, actor=Actor.system(), at=at, version=1)
    return issued.token


def _revoked(issued: Issued, project: Project, at: datetime) -> str:
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system(), at=at)
    return issued.token


def _expired(issued: Issued, project: Project, at: datetime) -> str:
    Key.objects.filter(pk=issued.key.pk).update(expires_at=at)
    return issued.token


def _paused(issued: Issued, project: Project, at: datetime) -> str:
    Key.objects.filter(pk=issued.key.pk).update(paused_at=at)
    return issued.token


@pytest.mark.parametrize(
    ("present", "code", "told"),
    [
        (_unknown, "unknown", "No key with this token exists here."),
        (_wrong_secret, "unknown", "No key with this token exists here."),
        (_of_a_deleted_project, "unknown", "No key with this token exists here."),
        (_renewed, "unknown", "No key with this token exists here."),
        (_revoked, "revoked", "The key was revoked."),
        (_expired, "expired", "The key has expired."),
        (_paused, "paused", "The key is paused."),
    ],
)
def test_a_key_that_is_not_good_is_told_so(
    issued: Issued, project: Project, at: datetime, present: Callable[..., str], code: str, told: str
) -> None:
    presented = present(issued, project, at)
    response = ask(presented)
    body = problem(response, 401, code)
    assert body["detail"] == told
    assert set(body) == {"type", "title", "status", "detail"}
    assert response["WWW-Authenticate"] == (f'{REALM}, error="invalid_token", error_description="{told}"')
    assert presented[8:] not in str(response.headers) + response.content.decode()


@pytest.mark.parametrize(
    "presented",
    [
        "x", "kr_live_", "kr_live_" + "0" * 56, "kr_live_" + "0" * 100_000, "é", "%00", "a b", ",",
        "kr_prod_" + "0" * 56, "Bearer kr_live_",
    ],
)  # fmt: skip
def test_a_malformed_token_is_told_so_without_a_query(presented: str, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(0):
        response = ask(presented)
    told = problem(response, 401, "malformed")["detail"]
    assert response["WWW-Authenticate"] == (f'{REALM}, error="invalid_token", error_description="{told}"')


def test_a_mistyped_token_is_told_so(issued: Issued) -> None:
    typo = issued.token[:-1] + ("0" if issued.token[-1] != "0" else "1")
    problem(ask(typo), 401, "malformed")


def test_an_unknown_id_and_a_wrong_secret_get_the_very_same_answer(
    issued: Issued, project: Project, at: datetime
) -> None:
    one, other = (ask(present(issued, project, at)) for present in (_unknown, _wrong_secret))
    assert one.content == other.content
    volatile = {"X-Request-Id"}
    assert {k: v for k, v in one.headers.items() if k not in volatile} == {
        k: v for k, v in other.headers.items() if k not in volatile
    }


@pytest.mark.parametrize(
    ("outcome", "status", "error"),
    [
        (Outcome.MALFORMED, 401, "invalid_token"),
        (Outcome.UNKNOWN, 401, "invalid_token"),
        (Outcome.REVOKED, 401, "invalid_token"),
        (Outcome.EXPIRED, 401, "invalid_token"),
        (Outcome.PAUSED, 401, "invalid_token"),
        (Outcome.WRONG_ENVIRONMENT, 401, "invalid_token"),
        (Outcome.SCOPE_MISSING, 403, "insufficient_scope"),
    ],
)
def test_every_refusal_has_an_answer(outcome: Outcome, status: int, error: str) -> None:
    """Also those that whoami itself never gives; the same words serve every surface."""
    response = problem_of(Verdict(outcome, missing="keys:read")).response()
    body = problem_from(response, status, outcome)
    challenge = response["WWW-Authenticate"]
    assert challenge.startswith(f'{REALM}, error="{error}"')
    assert challenge.isascii()
    if outcome is Outcome.SCOPE_MISSING:
        assert challenge.endswith(', scope="keys:read"')
        assert body["scope"] == "keys:read"


def problem_from(response: HttpResponse, status: int, code: str) -> dict[str, Any]:
    response.json = lambda: json.loads(response.content)  # type: ignore[attr-defined]
    return problem(response, status, code)


def test_every_outcome_but_valid_is_a_refusal() -> None:
    refusals = [outcome for outcome in Outcome if outcome is not Outcome.VALID]
    assert len({problem_of(Verdict(outcome)).response().content for outcome in refusals}) == 10


# Methods, and a database that is away.


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_another_method_is_not_allowed(client: Client, issued: Issued, method: str) -> None:
    response: Any = client.generic(method, URL, headers={"X-API-Key": issued.token})
    problem(response, 405, "method-not-allowed")
    assert response["Allow"] == "GET, HEAD"


def test_head_answers_as_get_does_without_the_body(client: Client, issued: Issued) -> None:
    response = client.head(URL, headers={"X-API-Key": issued.token})
    assert (response.status_code, response.content) == (200, b"")
    refused = client.head(URL)
    assert (refused.status_code, refused["WWW-Authenticate"]) == (401, REALM)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_answered_503_and_nothing_is_decided(
    client: Client, issued: Issued, failure: type[Exception]
) -> None:
    def away(*_: Any) -> Any:
        raise failure("server closed the connection unexpectedly: password=hunter2")

    for token in (issued.token, tokens.generate("live").text):
        with connection.execute_wrapper(away):
            response: Any = client.get(URL, headers={"X-API-Key": token})
        problem(response, 503, "unavailable")
        assert response["Retry-After"] == "1"
        assert "WWW-Authenticate" not in response
        assert b"hunter2" not in response.content
    assert client.get(URL, headers={"X-API-Key": issued.token}).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_is_replaced(client: Client, issued: Issued) -> None:
    headers = {"X-API-Key": issued.token}
    assert client.get(URL, headers=headers).status_code == 200
    _break(connection)
    first, second = (client.get(URL, headers=headers) for _ in range(2))
    assert (first.status_code, second.status_code) in ((200, 200), (503, 200))


def _break(connection: Any) -> None:
    """End the connection as a restarted server does. SQLite has no server: there it is only closed."""
    if connection.vendor == "sqlite":
        connection.close()
        return
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [connection.connection.info.backend_pid])


def test_it_costs_two_queries_the_key_and_the_catalogue(
    issued: Issued, client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(2):
        client.get(URL, headers={"X-API-Key": issued.token})
