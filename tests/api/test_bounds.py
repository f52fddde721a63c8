"""No key acts beyond its own bounds, and nothing but a key opens the API."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.kinds import KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import check
from projects.audit import Actor
from projects.models import Project, User
from tests.api.calls import FORM, KEYS, Answer, Api
from tests.api.conftest import MakeKey
from tests.db.watching import everything
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
WITHIN = {"name": "Child", "scopes": ["sources:read"]}

Verb = Callable[[Api, str], Answer]

# Each verb on a key, as a call of the API.
VERBS: dict[str, Verb] = {
    "edit": lambda api, key_id: api.patch(f"{KEYS}/{key_id}", {"version": 1, "note": "Mine."}),
    "renew": lambda api, key_id: api.post(f"{KEYS}/{key_id}/renew", {"version": 1}),
    "delete": lambda api, key_id: api.delete(f"{KEYS}/{key_id}"),
    "revoke": lambda api, key_id: api.post(f"{KEYS}/{key_id}/revoke"),
}
# Every operation that a key opens, with a scope each.
ALL: dict[str, Verb] = VERBS | {
    "list": lambda api, _: api.get(KEYS),
    "issue": lambda api, _: api.post(KEYS, WITHIN),
    "read": lambda api, key_id: api.get(f"{KEYS}/{key_id}"),
    "introspect": lambda api, _: api.form("/api/v1/introspect", "token=x"),
}


@pytest.fixture(params=VERBS.values(), ids=list(VERBS))
def verb(request: pytest.FixtureRequest) -> Verb:
    verb: Verb = request.param
    return verb


@pytest.fixture(params=ALL.values(), ids=list(ALL))
def call(request: pytest.FixtureRequest) -> Verb:
    call: Verb = request.param
    return call


@pytest.fixture
def deputy(make: MakeKey, at: datetime) -> Issued:
    """A restricted live key that manages keys, for thirty days."""
    scopes = ("keys:read", "keys:write", "sources:read", "sources:write")
    return make("Deputy", scopes=scopes, expires_at=at + 30 * DAY)


def refused(answer: Answer) -> bool:
    return (answer.status, answer.code) == (403, "beyond-bounds")


BEYOND: list[dict[str, Any]] = [
    {"scopes": ("chat:read",)},
    {"scopes": ("sources:read", "chat:read")},
    {"type": KeyType.VIEWER},
    {"type": KeyType.PRIVILEGED},
    {"environment": "test"},
    {"days": 31},
    {"days": None},
]


@pytest.mark.parametrize("fields", BEYOND, ids=str)
def test_it_acts_on_no_key_that_reaches_further(
    deputy: Issued, make: MakeKey, at: datetime, verb: Verb, fields: dict[str, Any]
) -> None:
    days = fields.get("days", 29)
    lasts = {} if days is None else {"expires_at": at + days * DAY}
    fields = {name: value for name, value in fields.items() if name != "days"}
    target = make("Target", confirmed=False, **lasts, **fields)
    before = everything()
    assert refused(verb(Api(deputy.token), target.key.key_id))
    assert everything() == before


def test_it_acts_on_a_key_within_its_bounds(deputy: Issued, make: MakeKey, at: datetime, verb: Verb) -> None:
    target = make("Target", confirmed=False, expires_at=at + 30 * DAY)
    assert verb(Api(deputy.token), target.key.key_id).status == 200


def test_on_itself_it_may_only_revoke(make: MakeKey, verb: Verb) -> None:
    boss = make("Boss", type=KeyType.PRIVILEGED, confirmed=False)
    before = everything()
    answer = verb(Api(boss.token), boss.key.key_id)
    if verb in (VERBS["delete"], VERBS["revoke"]):
        assert (answer.status, answer.body["status"]) == (200, "revoked")
    else:
        assert refused(answer)
        assert everything() == before


@pytest.mark.parametrize(
    "members",
    [
        {"scopes": ["chat:read"]},
        {"scopes": ["sources:read", "chat:read"]},
        {"scopes": ["gateway:use"]},
        {"type": "viewer", "scopes": []},
        {"type": "privileged", "scopes": []},
        {"environment": "test"},
        {"expires_at": None},
        {"expires_at": "2099-01-01T00:00:00Z"},
        # Ninety days from now, where nothing is said.
        {},
    ],
    ids=str,
)
def test_it_issues_no_key_that_reaches_further(deputy: Issued, members: dict[str, Any]) -> None:
    before = everything()
    assert refused(Api(deputy.token).post(KEYS, WITHIN | members))
    assert everything() == before


def test_it_issues_a_key_within_its_bounds_and_that_one_no_wider_either(deputy: Issued, at: datetime) -> None:
    end = (at + 30 * DAY).strftime("%Y-%m-%dT%H:%M:%SZ")
    scopes = ["keys:write", "sources:read"]
    first = Api(deputy.token).post(KEYS, {"name": "Child", "scopes": scopes, "expires_at": end})
    assert first.status == 201
    child = Api(first.body["token"])
    wider = {"name": "Grandchild", "scopes": ["sources:write"], "expires_at": end}
    assert refused(child.post(KEYS, wider))
    assert child.post(KEYS, wider | {"scopes": ["sources:read"]}).status == 201


@pytest.mark.parametrize(
    "changes",
    [{"scopes": ["chat:read"]}, {"expires_at": None}, {"expires_at": "2099-01-01T00:00:00Z"}],
    ids=str,
)
def test_it_edits_no_key_beyond_its_bounds(
    deputy: Issued, make: MakeKey, at: datetime, changes: dict[str, Any]
) -> None:
    target = make("Target", expires_at=at + 9 * DAY)
    before = everything()
    answer = Api(deputy.token).patch(f"{KEYS}/{target.key.key_id}", {"version": 1} | changes)
    assert refused(answer)
    assert everything() == before


def test_not_even_a_privileged_key_grants_what_everything_leaves_out(api: Api) -> None:
    assert refused(api.post(KEYS, WITHIN | {"scopes": ["gateway:use"]}))


def test_a_test_key_acts_on_test_keys_only(make: MakeKey, verb: Verb) -> None:
    tester = Api(make("Tester", type=KeyType.PRIVILEGED, environment="test").token)
    live, test = make("Live", confirmed=False), make("Test", environment="test", confirmed=False)
    before = everything()
    answer = verb(tester, live.key.key_id)
    assert (answer.status, answer.code) == (404, "not-found")
    assert everything() == before
    assert verb(tester, test.key.key_id).status == 200


def test_a_test_key_issues_test_keys_only(make: MakeKey) -> None:
    tester = Api(make("Tester", type=KeyType.PRIVILEGED, environment="test").token)
    assert refused(tester.post(KEYS, WITHIN))
    assert tester.post(KEYS, WITHIN | {"environment": "test"}).status == 201


def test_a_key_of_another_project_does_not_exist(api: Api, verb: Verb) -> None:
    theirs = IssuedFactory(project=ProjectFactory(name="Elsewhere"), confirmed=False)
    before = everything()
    answer = verb(api, theirs.key.key_id)
    assert (answer.status, answer.code) == (404, "not-found")
    assert everything() == before


def test_a_key_without_the_scope_is_told_which(make: MakeKey, call: Verb) -> None:
    target = make("Target", confirmed=False)
    writes = call in VERBS.values() or call is ALL["issue"]
    needed, other = ("keys:write", "keys:read") if writes else ("keys:read", "keys:write")
    before = everything()
    for caller in (make("Other", scopes=(other,)), make("Viewer", type=KeyType.VIEWER)):
        before = everything()
        answer = call(Api(caller.token), target.key.key_id)
        assert (answer.status, answer.code, answer.body["scope"]) == (403, "scope-missing", needed)
        assert f'error="insufficient_scope", scope="{needed}"' in answer.headers["WWW-Authenticate"]
        assert everything() == before


def ended(issued: Issued, how: str, at: datetime) -> str:
    """End a key, and return its token."""
    key = issued.key
    if how == "revoked":
        lifecycle.revoke(key.project, key.key_id, actor=Actor.system(), at=at)
    elif how == "paused":
        Key.objects.filter(pk=key.pk).update(paused_at=at)
    return issued.token


@pytest.mark.parametrize("how", ["revoked", "paused", "expired"])
def test_a_key_that_is_not_good_any_more_opens_nothing(
    make: MakeKey, at: datetime, call: Verb, how: str
) -> None:
    lasts = {"at": at - 9 * DAY, "expires_at": at - DAY} if how == "expired" else {}
    token = ended(make("Boss", type=KeyType.PRIVILEGED, **lasts), how, at)
    target = make("Target", confirmed=False)
    before = everything()
    answer = call(Api(token), target.key.key_id)
    assert (answer.status, answer.code) == (401, how)
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert everything() == before


def test_a_key_of_a_deleted_project_is_unknown(
    api: Api, project: Project, make: MakeKey, at: datetime, call: Verb
) -> None:
    target = make("Target", confirmed=False)
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    answer = call(api, target.key.key_id)
    assert (answer.status, answer.code) == (401, "unknown")


@pytest.mark.parametrize("role", ["owner", "staff"])
def test_a_session_opens_none_of_it(make: MakeKey, owner: User, call: Verb, role: str) -> None:
    if role == "staff":
        owner.is_staff = owner.is_superuser = True
        owner.save()
    client = Client()
    client.force_login(owner)
    target = make("Target", confirmed=False)
    before = everything()
    answer = call(Api(client=client), target.key.key_id)
    assert (answer.status, answer.code) == (401, "no-credentials")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="keyrack"'
    assert "Set-Cookie" not in answer.headers
    assert everything() == before


def test_a_session_does_not_say_who_a_key_is(owner: User, boss: Issued) -> None:
    client = Client()
    client.force_login(owner)
    assert Api(client=client).get("/api/v1/whoami").status == 401
    assert Api(boss.token, client).get("/api/v1/whoami").body["name"] == "Boss"


def test_the_automator_key_manages_keys_but_not_itself(project: Project, make: MakeKey, at: datetime) -> None:
    automator = lifecycle.renew(
        project, project.keys.get(type=KeyType.SYSTEM).key_id, actor=Actor.system(), at=at, version=1
    )
    api, target = Api(automator.token), make("Target", type=KeyType.PRIVILEGED)
    assert api.delete(f"{KEYS}/{target.key.key_id}").status == 200
    assert api.delete(f"{KEYS}/{automator.key.key_id}").code == "protected"
    assert refused(api.post(f"{KEYS}/{automator.key.key_id}/renew", {"version": 2}))
    assert check(automator.token, at=at).is_valid


def test_both_headers_with_one_token_are_one_key(boss: Issued) -> None:
    assert Api(boss.token).get(KEYS, X_API_Key=boss.token).status == 200
    assert Api().get(KEYS, X_API_Key=boss.token).status == 200
    assert Api().get(KEYS, Authorization=f"bearer  {boss.token}").status == 200


def test_a_form_is_no_way_to_authenticate(boss: Issued) -> None:
    # RFC 6750, section 2.2 has one; a body is more often logged than a header.
    answer = Api().send("POST", "/api/v1/introspect", f"access_token={boss.token}&token=x", content_type=FORM)
    assert (answer.status, answer.code) == (401, "no-credentials")
