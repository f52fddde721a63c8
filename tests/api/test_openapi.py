"""The OpenAPI document says all that the API does, and nothing else; schemathesis holds it to that."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import jsonschema_rs
import pytest
import schemathesis
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections
from django.http import HttpResponse
from django.test import Client
from django.urls import path
from schemathesis import config as st
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from config import urls
from keys import lifecycle, problems
from keys.api import gateways, openapi
from keys.api.schemas import KeyQuery, NewKey
from keys.kinds import Environment, KeyType, Status
from keys.permissions import ISSUABLE
from keys.querysets import SORTS, STATUSES
from projects.audit import Actor
from projects.models import Project
from tests.api.calls import Api
from tests.api.conftest import MakeKey

URL: Final = "/api/v1/openapi.json"
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY")

Json = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Json:
    return openapi.document()


def operations(document: Json) -> Iterator[tuple[str, Json]]:
    for route, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {route}", operation


def nodes(node: Any) -> Iterator[Json]:
    """Every object of a document, wherever it stands."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from nodes(child)


def found(document: Json, reference: str) -> Any:
    node: Any = document
    for part in reference.removeprefix("#/").split("/"):
        node = node[part]
    return node


# What is in it


@pytest.mark.django_db
def test_it_is_public_and_the_same_for_everybody(nobody: Api, api: Api, document: Json) -> None:
    for caller in (nobody, api):
        answer = caller.get(URL)
        assert (answer.status, answer.body) == (200, document)


@pytest.mark.django_db
def test_every_path_and_method_of_the_api_is_in_it_and_no_other(api: Api, document: Json) -> None:
    answered = set()
    for route, _ in openapi.paths():
        url = route.replace("{key_id}", "abcdefghijkl")
        answered |= {(route, method) for method in METHODS if api.send(method, url).status != 405}
    documented = {(route, method.upper()) for route, item in document["paths"].items() for method in item}
    assert answered == documented


def test_a_view_that_is_not_described_is_noticed(settings: Any) -> None:
    new = path("api/v1/new", lambda request: HttpResponse())
    settings.ROOT_URLCONF = type("Urls", (), {"urlpatterns": [new]})
    with pytest.raises(TypeError, match="/api/v1/new isn't described"):
        list(openapi.paths())


def test_no_url_of_the_api_hides_behind_a_prefix() -> None:
    # `paths()` reads the URLs that are included without a prefix; this asks Django for all of them.
    found = {
        "/" + openapi._CONVERTER.sub(r"{\1}", prefix + str(pattern.pattern))
        for prefix, pattern in flattened(urls.urlpatterns)
    }
    assert {route for route in found if route.startswith("/api/")} == {route for route, _ in openapi.paths()}


def flattened(patterns: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            yield from flattened(pattern.url_patterns, prefix + str(pattern.pattern))
        else:
            yield prefix, pattern


def test_every_operation_says_what_it_does(document: Json) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for label, operation in operations(document):
        assert operation["summary"], label
        assert operation["description"].endswith("."), label
        assert set(operation["tags"]) <= tags, label


def test_every_answer_has_its_headers_and_every_refusal_its_problem_types(document: Json) -> None:
    known = {kind.urn: kind for kind in problems.ALL}
    for label, operation in operations(document):
        for status, response in operation["responses"].items():
            assert {"Cache-Control", "X-Request-Id"} <= set(response["headers"]), label
            if int(status) < 400:
                # A gateway reads the headers alone.
                wanted = [] if operation["operationId"] == "authorize" else ["application/json"]
                assert list(response.get("content", {})) == wanted
                continue
            if status == "429":
                assert {"Retry-After", "RateLimit", "RateLimit-Policy"} <= set(response["headers"]), label
            (content,) = response["content"].values()
            urns = content["schema"]["allOf"][1]["properties"]["type"]["enum"]
            assert {known[urn].status for urn in urns} == {int(status)}, label
            assert [known[urn].code for urn in urns] == list(content["examples"]), label
        secured = bool(operation["security"])
        assert ("401" in operation["responses"]) is secured, label


def test_codes_are_told_apart_and_each_says_what_to_do() -> None:
    codes = [kind.code for kind in problems.ALL]
    assert len(set(codes)) == len(codes)
    for kind in problems.ALL:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
        assert kind.title
        assert kind.says.endswith(".")
        assert kind.advice.endswith(".")
    named = {value for value in vars(problems).values() if isinstance(value, problems.ProblemType)}
    assert named == set(problems.ALL)


def test_every_reference_leads_somewhere_and_no_component_is_forgotten(document: Json) -> None:
    used = {node["$ref"] for node in nodes(document) if "$ref" in node}
    for reference in used:
        assert found(document, reference)
    # Headers that not every answer of their status brings stand there in full.
    sometimes = {"Link", "Allow", *gateways.UPSTREAM}
    for kind in ("schemas", "headers", "parameters"):
        for name in document["components"][kind]:
            assert f"#/components/{kind}/{name}" in used or name in sometimes, name


def test_every_example_is_what_its_schema_says(document: Json) -> None:
    checked = 0
    for node in nodes(document["paths"]):
        if "schema" not in node or not {"example", "examples"} & node.keys():
            continue
        schema = {**node["schema"], "components": document["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        values = [node["example"]] if "example" in node else []
        values += [found(document, each["$ref"])["value"] for each in node.get("examples", {}).values()]
        for value in values:
            validator.validate(value)
            checked += 1
    assert checked > 60


def test_no_example_looks_like_a_token_to_a_secret_scanner(document: Json) -> None:
    text = json.dumps(document, ensure_ascii=False)
    assert not re.search(r"\bkr_(live|test)_[0-9A-Za-z]{13}", text)
    assert "kr_live_7Fq2…x9Qa" in text


def test_its_choices_are_those_of_the_code(document: Json) -> None:
    parameters = {
        parameter["name"]: parameter["schema"]
        for parameter in document["paths"]["/api/v1/keys"]["get"]["parameters"]
    }
    assert set(parameters) == set(KeyQuery.model_fields)
    assert set(parameters["sort"]["enum"]) == set(SORTS)
    assert set(parameters["status"]["enum"]) == {*STATUSES, "revoked"}
    assert parameters["type"]["enum"] == KeyType.values
    assert parameters["environment"]["enum"] == Environment.values
    schemas = document["components"]["schemas"]
    assert set(schemas["NewKey"]["properties"]) == set(NewKey.model_fields)
    assert schemas["NewKey"]["properties"]["type"]["enum"] == list(ISSUABLE)
    shown = schemas["Key"]["properties"]
    assert set(shown["status"]["enum"]) == {status.name.lower() for status in Status}
    assert shown["type"]["enum"] == KeyType.values


def test_what_no_cache_may_keep_says_so_even_here() -> None:
    response = Client().get(URL)
    assert response["Cache-Control"] == "no-store"
    assert response["Content-Type"] == "application/json"


# Schemathesis

# What a schema can't say: a name that is taken, a scope that this project hasn't, a date that is past, a
# cursor of another list, a token in the query.
POSITIVE: Final = ["2xx", "400", "401", "403", "404", "409", "422"]


def application() -> Callable[..., list[bytes]]:
    """Keyrack as a WSGI application that leaves no connection behind in a thread."""
    handler = WSGIHandler()

    def answer(environ: Json, start_response: Any) -> list[bytes]:
        environ.pop("HTTP_ACCEPT_ENCODING", None)
        response = handler(environ, start_response)
        try:
            return [b"".join(response)]
        finally:
            response.close()
            connections.close_all()

    return answer


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its check of authentication hands the settings of sockets on to Werkzeug, which knows none."""
    send = WSGITransport.send

    def without_sockets(self: WSGITransport, case: Any, *, session: Any = None, **options: Any) -> Any:
        for name in ("max_redirects", "verify", "cert", "proxies"):
            options.pop(name, None)
        return send(self, case, session=session, **options)

    monkeypatch.setattr(WSGITransport, "send", without_sockets)


def configured(headers: dict[str, str], max_examples: int) -> st.SchemathesisConfig:
    project = st.ProjectConfig(
        headers=headers,
        continue_on_failure=True,
        # A caller with a key sends that one, and no invented one beside it.
        generation=st.GenerationConfig(
            max_examples=max_examples, deterministic=True, with_security_parameters=not headers
        ),
        checks=st.ChecksConfig(
            positive_data_acceptance=st.PositiveDataAcceptanceConfig(expected_statuses=POSITIVE),
            # DELETE revokes: the key's row stays, and is read as before.
            use_after_free=st.SimpleCheckConfig(enabled=False),
        ),
    )
    return st.SchemathesisConfig(seed=1, projects=st.ProjectsConfig(default=project))


def run(headers: dict[str, str], max_examples: int) -> tuple[Counter[tuple[str, int]], list[str]]:
    """Return how often each operation gave each status, and what was wrong."""
    schema = schemathesis.openapi.from_wsgi(URL, application(), config=configured(headers, max_examples))
    schema.validate()
    statuses: Counter[tuple[str, int]] = Counter()
    wrong: list[str] = []
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError):
            wrong.append(f"{event.label}: {event.info.title}: {event.info.message}")
        if isinstance(event, events.ScenarioFinished):
            recorder = event.recorder
            for case_id, each in recorder.interactions.items():
                if each.response:
                    statuses[recorder.cases[case_id].value.operation.label, each.response.status_code] += 1
            failed = [node.failure_info for nodes in recorder.checks.values() for node in nodes]
            wrong += [
                f"{info.failure.operation}: {info.failure.message}\n{info.code_sample}"
                for info in failed
                if info
            ]
    return statuses, wrong


@pytest.mark.usefixtures("_in_process")
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("who", ["all rights", "few rights", "no key"])
def test_schemathesis_finds_nothing(
    make: MakeKey, project: Project, at: datetime, document: Json, who: str
) -> None:
    # With all rights it comes as the Automator: any other key would revoke itself on the way.
    automator = project.keys.get(type=KeyType.SYSTEM)
    boss = lifecycle.renew(project, automator.key_id, actor=Actor.system(), at=at, version=1)
    few = make("Few", scopes=("keys:read", "sources:read"))
    for number in range(6):
        make(f"Key {number}", confirmed=number % 2 == 0)
    token = {"all rights": boss.token, "few rights": few.token, "no key": ""}[who]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    statuses, wrong = run(headers, max_examples=15 if who == "all rights" else 6)
    assert not wrong, f"{len(wrong)}:\n" + "\n\n".join(wrong[:10])
    asked = {label for label, _ in statuses}
    # There is nothing to vary in asking for the document itself.
    assert asked == {label for label, _ in operations(document)} - {f"GET {URL}"}
    if who == "all rights":
        done = {label for label, status in statuses if status < 300}
        # Chance decides whether it hits upon the version of a key, and upon one that nobody has stored.
        assert asked - done <= {"PATCH /api/v1/keys/{key_id}", "POST /api/v1/keys/{key_id}/renew"}
