"""`POST /api/v1/introspect` (RFC 7662), also as Authlib asks it."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.live_server_helper import LiveServer

from keys import lifecycle
from keys.bodies import Active
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from projects.audit import Actor
from projects.models import Project
from tests.api.calls import Answer, Api
from tests.api.conftest import MakeKey
from tests.api.oauth import OAuthClient
from tests.db.watching import everything
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

URL = "/api/v1/introspect"
INACTIVE = {"active": False}


def introspect(api: Api, token: str, **parameters: str) -> Answer:
    return api.form(URL, urlencode({"token": token} | parameters))


@pytest.fixture
def service(make: MakeKey) -> Api:
    """A service that may introspect, and nothing else."""
    return Api(make("Service", scopes=("keys:read",)).token)


def test_a_good_token_is_described(service: Api, make: MakeKey, at: datetime) -> None:
    issued = make(scopes=("sources:write", "sources:read"), expires_at=at + timedelta(days=9))
    answer = introspect(service, issued.token)
    assert answer.status == 200
    assert answer.body == {
        "active": True,
        "scope": "sources:read sources:write",
        "client_id": issued.key.key_id,
        "sub": issued.key.key_id,
        "token_type": "Bearer",
        "iat": int(at.timestamp()),
        "exp": int((at + timedelta(days=9)).timestamp()),
        "jti": issued.key.key_id,
        "project": "acme",
        "type": "restricted",
        "environment": "live",
        "channel": None,
        "name": "Docs crawler",
    }
    assert set(answer.body) == set(Active.__annotations__)


def test_what_never_expires_has_no_exp(service: Api, make: MakeKey) -> None:
    assert "exp" not in introspect(service, make().token).body


@pytest.mark.parametrize(
    ("kind", "scope"),
    [
        ("privileged", "*"),
        ("viewer", "agents:read chat:read chat:send sources:read workflows:read"),
    ],
)
def test_the_scope_is_what_the_type_allows(service: Api, make: MakeKey, kind: str, scope: str) -> None:
    assert introspect(service, make(type=kind).token).body["scope"] == scope


def test_the_automator_key_is_active(service: Api, project: Project, at: datetime) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    renewed = lifecycle.renew(project, automator.key_id, actor=Actor.system(), at=at, version=1)
    body = introspect(service, renewed.token).body
    assert (body["active"], body["type"], body["scope"]) == (True, "system", "*")


def test_a_service_may_introspect_its_own_token(service: Api) -> None:
    assert introspect(service, service.token).body["scope"] == "keys:read"


@pytest.mark.parametrize(
    "token",
    ["x", "kr_live_short", "kr_live_" + "0" * 56, " ", "\x00", "%", "ü" * 64, "x" * 60_000],
    ids=lambda token: token[:12],
)
def test_what_is_no_token_is_inactive(service: Api, token: str) -> None:
    answer = introspect(service, token)
    assert (answer.status, answer.body) == (200, INACTIVE)


@pytest.mark.parametrize("change", ["the secret", "the checksum", "the environment", "a blank"])
def test_a_token_that_is_nearly_good_is_inactive(service: Api, make: MakeKey, change: str) -> None:
    one, other = make("One").token, make("Other").token
    changed = {
        "the secret": one[:20] + other[20:],
        "the checksum": one[:-1] + ("0" if one[-1] != "0" else "1"),
        "the environment": one.replace("live", "test"),
        "a blank": f"{one} ",
    }
    assert introspect(service, changed[change]).body == INACTIVE


def test_a_token_that_is_not_good_any_more_is_inactive_and_nothing_is_said_why(
    service: Api, make: MakeKey, at: datetime
) -> None:
    revoked, paused = make("Revoked"), make("Paused")
    expired = make("Expired", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    lifecycle.revoke(revoked.key.project, revoked.key.key_id, actor=Actor.system(), at=at)
    Key.objects.filter(pk=paused.key.pk).update(paused_at=at)
    for issued in (revoked, paused, expired):
        answer = introspect(service, issued.token)
        assert (answer.status, answer.body) == (200, INACTIVE)


def test_a_token_of_another_project_is_inactive(service: Api) -> None:
    theirs = IssuedFactory(project=ProjectFactory(name="Elsewhere"))
    assert introspect(service, theirs.token).body == INACTIVE


def test_a_test_key_learns_nothing_of_live_ones(make: MakeKey) -> None:
    tester = Api(make("Tester", scopes=("keys:read",), environment="test").token)
    assert introspect(tester, make("Live").token).body == INACTIVE
    assert introspect(tester, make("Test", environment="test").token).body["environment"] == "test"


def test_a_live_key_is_told_that_a_key_is_for_tests(service: Api, make: MakeKey) -> None:
    assert introspect(service, make(environment="test").token).body["environment"] == "test"


def test_a_hint_binds_nothing_and_unknown_parameters_are_ignored(service: Api, make: MakeKey) -> None:
    token = make().token
    for more in ({"token_type_hint": "refresh_token"}, {"token_type_hint": ""}, {"resource": "sources"}):
        assert introspect(service, token, **more).body["active"] is True


def test_asking_changes_nothing(service: Api, make: MakeKey) -> None:
    token = make().token
    before = everything()
    introspect(service, token)
    assert everything() == before


def test_it_needs_a_key_that_may_read_keys(make: MakeKey, nobody: Api) -> None:
    token = make().token
    none = introspect(nobody, token)
    assert (none.status, none.code) == (401, "no-credentials")
    assert none.headers["WWW-Authenticate"] == 'Bearer realm="keyrack"'
    low = introspect(Api(make("Low", type=KeyType.VIEWER).token), token)
    assert (low.status, low.body["scope"]) == (403, "keys:read")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "token: It is missing."),
        ("token=", "token: It is empty."),
        ("token_type_hint=access_token", "token: It is missing."),
        ("token=a&token=b", "A parameter is given twice."),
        ("token=a&token=a", "A parameter is given twice."),
        ("token=a&x=1&x=2", "A parameter is given twice."),
        (b"token=\xff", "The body isn't a form in UTF-8."),
        ("&".join(f"p{number}=1" for number in range(1100)), "The body isn't a form in UTF-8."),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_form_that_cannot_be_understood_is_an_invalid_request(
    service: Api, body: str | bytes, said: str
) -> None:
    answer = service.form(URL, body)
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert answer.body["error"] == "invalid_request"
    assert answer.body["error_description"] == answer.body["detail"] == said


def test_it_asks_the_database_four_times(
    service: Api, make: MakeKey, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    token = make().token
    with django_assert_num_queries(4):
        introspect(service, token)


@pytest.mark.django_db(transaction=True)
class TestWithAuthlib:
    """Over HTTP, as Authlib's `OAuth2Session` asks."""

    @pytest.fixture
    def client(self, live_server: LiveServer, make: MakeKey) -> OAuthClient:
        return OAuthClient(live_server.url, make("Service", scopes=("keys:read",)).token)

    def test_it_understands_a_good_token(self, client: OAuthClient, make: MakeKey) -> None:
        issued = make()
        for options in ({}, {"token_type_hint": "access_token"}):
            response = client.introspect(issued.token, **options)
            assert response.status_code == 200
            said: dict[str, Any] = response.json()
            assert (said["active"], said["client_id"]) == (True, issued.key.key_id)
            assert said["scope"].split() == ["sources:read"]

    def test_it_understands_one_that_is_not(self, client: OAuthClient) -> None:
        response = client.introspect("kr_live_no")
        assert (response.status_code, response.json()) == (200, INACTIVE)

    def test_it_is_told_that_it_may_not(self, live_server: LiveServer, boss: Issued, make: MakeKey) -> None:
        response = OAuthClient(live_server.url, make().token).introspect(boss.token)
        assert response.status_code == 403
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
        stranger = OAuthClient(live_server.url, "kr_live_no").introspect(boss.token)
        assert stranger.status_code == 401
        assert 'error="invalid_token"' in stranger.headers["WWW-Authenticate"]


def test_a_key_bound_to_networks_is_active_only_where_its_client_is(service: Api, make: MakeKey) -> None:
    bound = make(networks=["192.0.2.0/24", "2001:db8::/32"]).token
    for address in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "192.0.2.7:4711"):
        assert introspect(service, bound, client_ip=address).body["active"] is True
    for address in ("192.0.3.7", "::1", ""):
        assert introspect(service, bound, client_ip=address).body == INACTIVE
    assert introspect(service, bound).body == INACTIVE
    assert introspect(service, make("Free").token, client_ip="192.0.3.7").body["active"] is True


@pytest.mark.parametrize("address", ["nonsense", "192.0.2", "192.0.2.7/24", "\0", "é", "1" * 5000])
def test_a_client_ip_that_is_none_is_refused(service: Api, make: MakeKey, address: str) -> None:
    answer = introspect(service, make().token, client_ip=address)
    assert (answer.status, answer.code) == (400, "invalid-request")
    assert answer.body["error_description"] == "client_ip: It isn't an IP address."
