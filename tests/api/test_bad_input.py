"""Whatever is sent, the answer is a clear problem: never a 500, never an echo, nothing half done."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.db import InterfaceError, OperationalError
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keys import problems, throttles, verification
from keys.api import openapi
from keys.api.operations import Operation
from keys.lifecycle import Issued
from keys.models import Key
from tests.api.calls import FORM, KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.api.gates import AUTHORIZE
from tests.db.watching import everything

pytestmark = pytest.mark.django_db

NEW = {"name": "Docs crawler", "scopes": ["sources:read"]}


def operations() -> Iterator[tuple[str, str, Operation]]:
    for path, view in openapi.paths():
        for method, operation in view.operations.items():
            yield path, method, operation


def named(which: Callable[[Operation], object]) -> pytest.MarkDecorator:
    """Run a test over those operations of the API that `which` picks."""
    picked = [(path, method) for path, method, operation in operations() if which(operation)]
    return pytest.mark.parametrize(
        ("path", "method"), picked, ids=[f"{method} {path}" for path, method in picked]
    )


every = named(lambda operation: True)
keyed = named(lambda operation: operation.needs_key)
taking_one_key = named(
    lambda operation: operation.needs_key and problems.TWO_CREDENTIALS not in operation.about.never
)
taking_json = named(lambda operation: operation.about.body)
taking_forms = named(lambda operation: operation.about.form)


@pytest.fixture
def target(make: MakeKey) -> Issued:
    """The key that a path names."""
    return make("Target", confirmed=False)


@pytest.fixture
def url(path: str, target: Issued) -> str:
    return asked(path, target)


def asked(path: str, target: Issued) -> str:
    """The address of an operation that is asked rightly: of a key, or about a project."""
    query = "?project=acme&resource=sources&action=read" if path == AUTHORIZE else ""
    return path.replace("{key_id}", target.key.key_id) + query


# Tokens where they may not be, or too many of them


@every
@pytest.mark.parametrize("place", ["value", "name", "unknown"])
def test_a_token_in_the_query_is_refused_and_said_why(
    api: Api, url: str, method: str, target: Issued, place: str
) -> None:
    query = {"value": {"q": target.token}, "name": {target.token: "1"}, "unknown": {"api_key": target.token}}
    before = everything()
    answer = api.send(method, f"{url}{'&' if '?' in url else '?'}{urlencode(query[place])}")
    assert (answer.status, answer.code) == (400, "token-in-query")
    assert answer.body["detail"].startswith("A key in a URL ends up in logs and histories")
    assert 'error="invalid_request"' in answer.headers["WWW-Authenticate"]
    assert everything() == before


@taking_one_key
def test_two_different_tokens_are_refused(api: Api, url: str, method: str, target: Issued) -> None:
    before = everything()
    answer = api.send(method, url, X_API_Key=target.token)
    assert (answer.status, answer.code) == (400, "two-credentials")
    assert everything() == before


@keyed
@pytest.mark.parametrize(
    "token",
    [
        "x",
        "kr_live_",
        "kr_live_" + "0" * 56,
        "kr_live_" + "é" * 56,
        "\x00",
        "k" * 1_000_000,
        "kr_live_{}",
        "a b",
    ],
    ids=lambda token: repr(token[:10]),
)
def test_what_is_no_token_is_malformed_however_large(url: str, method: str, token: str) -> None:
    for headers in ({"Authorization": f"Bearer {token}"}, {"X_API_Key": token}):
        answer = Api().send(method, url, **headers)
        assert (answer.status, answer.code) == (401, "malformed")
        assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]


@keyed
@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic a2V5OnNlY3JldA==", "Token x", "\xff\xfe"])
def test_what_is_no_bearer_token_is_no_credential(url: str, method: str, header: str) -> None:
    answer = Api().send(method, url, Authorization=header)
    assert (answer.status, answer.code) == (401, "no-credentials")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="keyrack"'


@every
def test_other_headers_may_be_huge_or_strange(api: Api, url: str, method: str) -> None:
    strange = {
        "User_Agent": "x" * 500_000,
        "Accept": "nonsense/\xff",
        "Cookie": "keyrack_session=\x00\xff" * 9,
    }
    assert api.send(method, url, **strange).status < 500


# Methods


@pytest.mark.parametrize("path", [path for path, _ in openapi.paths()])
@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "TRACE", "CONNECT", "QUERY", "BREW"])
def test_an_unknown_method_is_405_and_names_the_others(api: Api, url: str, method: str, path: str) -> None:
    before = everything()
    answer = api.send(method, url, {})
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    offered = dict(openapi.paths())[path].operations
    allowed = {*offered, *(["HEAD"] if "GET" in offered else [])}
    assert set(answer.headers["Allow"].split(", ")) == allowed
    assert answer.body["detail"] == f"Use {answer.headers['Allow']}."
    assert everything() == before


@named(
    lambda operation: operation.about.status == 200 and not operation.about.body and not operation.about.form
)
def test_head_is_a_get_without_a_body(api: Api, url: str, method: str) -> None:
    answer = api.send("HEAD", url)
    assert (answer.status, answer.body) == ((200, None) if method == "GET" else (answer.status, None))


@pytest.mark.parametrize("path", ["/api/", "/api/v1/", "/api/v1/nope", "/api/v1/keys/", "/api/v2/keys"])
def test_an_unknown_url_is_a_problem_too(path: str) -> None:
    response = Client().get(path)
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")
    assert response["Cache-Control"] == "no-store"
    assert response.json() == {"type": "about:blank", "title": "Not Found", "status": 404}


# Bodies


def deep(depth: int) -> str:
    return '{"name":' + "[" * depth + "]" * depth + "}"


UNREADABLE: list[tuple[str | bytes, str]] = [
    ("{", "The body isn't JSON."),
    ("nonsense", "The body isn't JSON."),
    ("{'name': 1}", "The body isn't JSON."),
    ('{"name": 1,}', "The body isn't JSON."),
    ('{"name": 1} {}', "The body isn't JSON."),
    ('{"name": "a\nb"}', "The body isn't JSON."),
    ('{"name": NaN}', "The body isn't JSON."),
    ('{"name": -Infinity}', "The body isn't JSON."),
    ('\ufeff{"name": "a"}', "The body isn't JSON."),
    (" ", "The body isn't JSON."),
    ("\x00", "The body isn't JSON."),
    ("[]", "The body isn't a JSON object."),
    ("null", "The body isn't a JSON object."),
    ('"name"', "The body isn't a JSON object."),
    ("3", "The body isn't a JSON object."),
    (b'{"name": "\xff"}', "The body isn't UTF-8."),
    ('{"name": "a"}'.encode("utf-16"), "The body isn't UTF-8."),
    ('{"name": "ü"}'.encode("latin-1"), "The body isn't UTF-8."),
    ('{"name": "\\ud800"}', "The body holds half a character (a lone surrogate)."),
    ('{"\\udfff": "a"}', "The body holds half a character (a lone surrogate)."),
    (b'{"name": "\xed\xa0\x80"}', "The body isn't UTF-8."),
    (f'{{"version": {"9" * 21}}}', "The body holds a number that is too large."),
    (f'{{"version": {"9" * 5000}}}', "The body holds a number that is too large."),
    (f'{{"version": -{"9" * 5000}}}', "The body holds a number that is too large."),
    (deep(30_000), "The body is nested too deeply."),
    (deep(300), "The body isn't JSON, or is nested too deeply."),
    ('{"name": "a", "name": "b"}', "The member name is given twice."),
    ('{"name": "a", "name": "a"}', "The member name is given twice."),
    ('{"name": "a", "n\\u0061me": "b"}', "The member name is given twice."),
    ('{"note": {"a": 1, "a": 2}}', "The member a is given twice."),
]  # fmt: skip


@taking_json
@pytest.mark.parametrize(("body", "said"), UNREADABLE, ids=lambda value: repr(value)[:40])
def test_a_body_that_cannot_be_read_is_said_why(
    api: Api, url: str, method: str, body: str | bytes, said: str
) -> None:
    before = everything()
    answer = api.send(method, url, body)
    assert (answer.status, answer.code) == (400, "bad-body")
    assert answer.body["detail"] == said
    assert everything() == before


def test_a_repeated_member_that_is_a_token_is_not_echoed(api: Api) -> None:
    answer = api.post(KEYS, f'{{"{api.token}": 1, "{api.token}": 2}}')
    assert answer.body["detail"] == "The member … is given twice."


@pytest.mark.parametrize("size", [64 * 1024 + 1, 3_000_000])
@named(lambda operation: operation.about.body or operation.about.form)
def test_a_body_over_64_kib_is_too_large(api: Api, url: str, path: str, method: str, size: int) -> None:
    kind = FORM if dict(openapi.paths())[path].operations[method].about.form else "application/json"
    body = "token=" + "x" * (size - 6) if kind == FORM else "{" + " " * (size - 2) + "}"
    answer = api.send(method, url, body, content_type=kind)
    assert (answer.status, answer.code) == (413, "too-large")


def test_a_body_of_64_kib_is_read(api: Api) -> None:
    body = json.dumps(NEW)
    assert api.post(KEYS, body + " " * (64 * 1024 - len(body))).status == 201


@taking_json
@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        FORM,
        "multipart/form-data; boundary=x",
        "application/json-patch+json",
        "json",
        "\xff",
        "*/*",
    ],
)
def test_another_content_type_than_json_is_refused(api: Api, url: str, method: str, kind: str) -> None:
    answer = api.send(method, url, json.dumps(NEW), content_type=kind)
    assert (answer.status, answer.code) == (415, "unsupported-type")
    assert answer.body["detail"] == "Send application/json."


@taking_forms
@pytest.mark.parametrize(
    "kind", ["text/plain", "application/json", "multipart/form-data; boundary=x", "", "\xff"]
)
def test_another_content_type_than_a_form_is_refused(api: Api, url: str, method: str, kind: str) -> None:
    answer = api.send(method, url, "token=x", content_type=kind)
    if kind:
        assert (answer.status, answer.code) == (415, "unsupported-type")
        assert answer.body["detail"] == "Send application/x-www-form-urlencoded."


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "Application/JSON", "application/json;x=y;"]
)
def test_parameters_of_a_content_type_do_not_matter(api: Api, kind: str) -> None:
    assert api.send("POST", KEYS, NEW, content_type=kind).status == 201


@named(lambda operation: operation.about.body or operation.about.form)
def test_a_body_in_chunks_is_refused_and_not_taken_for_none(
    api: Api, url: str, path: str, method: str
) -> None:
    kind = FORM if dict(openapi.paths())[path].operations[method].about.form else "application/json"
    before = everything()
    answer = api.send(method, url, content_type=kind, Transfer_Encoding="chunked")
    assert (answer.status, answer.code) == (411, "length-required")
    assert everything() == before


@pytest.mark.parametrize(
    ("length", "status"), [("abc", 411), ("-1", 411), ("١", 411), ("9" * 19, 413), ("9" * 5000, 413)]
)
@named(lambda operation: operation.about.body or operation.about.form)
def test_a_strange_length_is_refused(
    api: Api, url: str, path: str, method: str, length: str, status: int
) -> None:
    kind = FORM if dict(openapi.paths())[path].operations[method].about.form else "application/json"
    headers = {"Authorization": f"Bearer {api.token}"}
    response = api.client.generic(
        method, url, "token=x", content_type=kind, CONTENT_LENGTH=length, headers=headers
    )
    assert response.status_code == status


def answered(api: Api, method: str, url: str, body: bytes, kind: str) -> Answer:
    return api.send(method, url, body, content_type=kind)


LOOSE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.sampled_from(
    ["name", "note", "scopes", "expires_at", "type", "version", "reason", "environment"]
)


@LOOSE
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_answered(api: Api, raw: bytes) -> None:
    assert answered(api, "POST", KEYS, raw, "application/json").status in {400, 415}
    assert answered(api, "POST", "/api/v1/introspect", raw, FORM).status in {200, 400}
    assert answered(api, "POST", "/api/v1/revoke", raw, FORM).status in {200, 400}


@LOOSE
@given(body=st.dictionaries(MEMBERS | st.text(max_size=9), JSON_VALUES, max_size=5))
def test_any_object_is_answered(api: Api, target: Issued, body: dict[str, Any]) -> None:
    raw = json.dumps(body).encode()
    url = f"{KEYS}/{target.key.key_id}"
    expected = {200, 201, 400, 409, 422}
    assert answered(api, "POST", KEYS, raw, "application/json").status in expected
    assert answered(api, "PATCH", url, raw, "application/json").status in expected
    assert answered(api, "POST", f"{url}/renew", raw, "application/json").status in expected


@LOOSE
@given(query=st.dictionaries(st.sampled_from(["q", "cursor", "limit", "sort", "x"]) | st.text(), st.text()))
def test_any_query_is_answered(api: Api, query: dict[str, str]) -> None:
    assert answered(api, "GET", f"{KEYS}?{urlencode(query, errors='replace')}", b"", "").status in {200, 400}


# The database goes away


@pytest.mark.django_db(transaction=True)
def test_without_the_database_it_is_503_and_never_a_pass(
    make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, target = make("Boss", type="privileged"), make("Target")
    errors = iter([OperationalError, InterfaceError] * 99)

    def away(key_id: str) -> None:
        raise next(errors)

    monkeypatch.setattr(verification, "_read", away)
    asking = [each for each in operations() if each[2].about.asks_database]
    assert len(asking) > 8
    for path, method, operation in asking:
        url = asked(path, target)
        kind = FORM if operation.about.form else "application/json"
        answer = Api(issued.token).send(method, url, f"token={issued.token}", content_type=kind)
        assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "1")
    assert Key.objects.filter(revoked_at=None).count() == 3


def test_where_a_rate_cannot_be_counted_it_is_503_and_never_a_pass(
    make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued, target = make("Boss", type="privileged", rate="100/minute"), make("Target")

    def away(key_id: str, rate: object) -> None:
        raise throttles.ThrottleUnavailable

    monkeypatch.setattr(throttles, "take", away)
    for path, method, operation in operations():
        if operation.needs_key:
            answer = Api(issued.token).send(method, asked(path, target))
            assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "unavailable", "1")
            assert answer.body["detail"].startswith("The key has a rate limit")
    assert Key.objects.filter(revoked_at=None).count() == 3
