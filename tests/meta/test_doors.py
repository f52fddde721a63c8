"""Every URL is behind a door: a list says which, and a URL that isn't on it fails here."""

import re
from collections.abc import Iterable
from datetime import datetime
from itertools import product
from typing import Any, Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys.models import Key, ProviderKey, Upstream
from projects.audit import Actor
from projects.catalogue import add_resource
from projects.models import AuditEvent, Channel, Invitation, Project, User
from tests.authenticator import enrol
from tests.factories import (
    ChannelFactory,
    IssuedFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    acting,
    invited,
)
from tests.meta import rights
from tests.meta.routes import Route, routes
from tests.web.pages import HTMX, Page, freshen, signed_in

pytestmark = pytest.mark.django_db

# Open to anybody: there is nobody yet who could be asked for.
PUBLIC: Final = {
    "account_login",
    # The second step of a sign-in; to whoever hasn't taken the first it is the first.
    "mfa_authenticate",
    "account_reset_password_from_key",
    "account_reset_password_from_key_done",
    # To whoever is signed out already it answers as to whoever has just signed out.
    "account_logout",
    # Leads to the sign-in, where `next` is kept.
    "admin:login",
    # What Keyrack and its API are; nothing of anybody's.
    "docs_index",
    "docs_present_a_key",
    "docs_scopes",
    "docs_errors",
    "docs_rotate_safely",
    "docs_channels",
    "docs_provider_keys",
    "docs_gateways",
    "docs_audit_log",
    "docs_second_factor",
    "docs_deploying",
    "docs_api",
    "openapi",
    # Whoever has an invitation's link; it says nothing where the link isn't good.
    "invitation",
}
# Opened by a key and not by a session; and how each refuses whoever comes without one. RFC 7009: who holds a
# token may end it, and needs no other. `authorize` is told no project.
NOT_401: Final = {"revoke_token": 400, "authorize": 400}
API: Final = {name: NOT_401.get(name, 401) for name in rights.API.keys() - PUBLIC}
# Anybody who is signed in.
PERSONAL: Final = {
    "home",
    "project_list",
    "project_create",
    "account_change_password",
    "account_reauthenticate",
    # Of an invitation that isn't theirs it says what it says of none.
    "invitation_mine",
    "mfa_reauthenticate",
    "second_factor",
    "second_factor_activate",
    "second_factor_deactivate",
    "recovery_codes_make",
    "recovery_codes_download",
    "recovery_codes_saved",
    # A redirect to the console's own page.
    "admin/password_change/",
}
# Members of the project that the address names, through `project_for`; `test_who_may.py` says which.
PROJECT: Final = set(rights.CONSOLE)
# Staff: everything under admin/ that isn't named above.
STAFF: Final = "admin:"

# As a browser asks, and as htmx does.
WAYS: Final[tuple[dict[str, str], ...]] = ({}, HTMX)
METHODS: Final = ("get", "head", "post", "put", "patch", "delete", "options")
SECOND_FACTOR: Final = "/account/second-factor/"
FORM: Final = "application/x-www-form-urlencoded"

ROUTES: Final = routes()
BY_NAME: Final = {route.name: route for route in ROUTES}
STAFF_ROUTES: Final = [route for route in ROUTES if route.name.startswith(STAFF) and route.name not in PUBLIC]


def ids(route: Route) -> str:
    return route.name


def of(names: Iterable[str]) -> list[Route]:
    return [BY_NAME[name] for name in sorted(names)]


CHANNEL: Final = "support-bot"


@pytest.fixture
def key(project: Project, owner: User, at: datetime) -> Key:
    ChannelFactory(project=project, slug=CHANNEL, name="Support bot")
    invited(project, owner)
    return IssuedFactory(project=project, actor=acting(owner, project), at=at, name="Docs crawler").key


@pytest.fixture
def named(key: Key, project: Project, at: datetime) -> dict[str, str]:
    """What the URLs of the project “Acme” name: a row of each kind."""
    # A resource that other projects don't have.
    add_resource(project, "reports", ["read"], actor=Actor.system(), at=at)
    provider_key = ProviderKeyFactory(project=project, name="Docs crawler's OpenAI")
    upstream = UpstreamFactory(project=project, slug="docs-crawler", provider_key=provider_key.public_id)
    return {
        "slug": "acme",
        "key_id": key.key_id,
        "resource": "reports",
        "channel": CHANNEL,
        "person_id": User.objects.get(memberships__project=project).public_id,
        "invitation_id": Invitation.objects.get(project=project).public_id,
        "public_id": provider_key.public_id,
        "upstream": upstream.slug,
    }


# The same for rows that nobody has.
NOTHING: Final = {
    "key_id": "A" * 12, "channel": "nothing", "person_id": "A" * 12, "invitation_id": "A" * 12,
    "public_id": "A" * 12, "upstream": "nothing", "resource": "nothing",
}  # fmt: skip


def test_every_url_is_on_one_list() -> None:
    listed = [PUBLIC, set(API), PERSONAL, PROJECT, {route.name for route in STAFF_ROUTES}]
    assert sum(map(len, listed)) == len(set.union(*listed))
    assert {route.name for route in ROUTES} == set.union(*listed)
    assert len(BY_NAME) == len(ROUTES)


def test_a_url_that_names_a_project_is_on_the_list_of_projects() -> None:
    assert {route.name for route in ROUTES if "slug" in route.arguments} == PROJECT


def test_only_what_is_public_is_marked_so() -> None:
    marked = {route.name for route in ROUTES if not route.needs_sign_in}
    # These ask for the right person by themselves: staff, or the one whose link it is.
    staff = {route.name for route in STAFF_ROUTES}
    assert marked - staff <= PUBLIC | set(API)
    assert marked >= set(API)


def test_no_primary_key_stands_in_a_url() -> None:
    numbered = [route.name for route in ROUTES if re.search(r"<int:|<pk>|\bpk\b", route.pattern)]
    assert [name for name in numbered if not name.startswith(STAFF)] == []


# Signed out


@pytest.mark.parametrize("route", STAFF_ROUTES, ids=ids)
def test_the_admin_is_for_staff(client: Client, owner: User, route: Route) -> None:
    path = route.path(dict.fromkeys(route.arguments, "1") | {"app_label": "keys", "url": "nowhere"})
    # Whoever is signed in may sign out.
    visitors = [client] if route.name == "admin:logout" else [client, signed_in(owner)]
    before = AuditEvent.objects.count()
    for visitor, method in product(visitors, METHODS):
        response = getattr(visitor, method)(path)
        # Django leads to the admin's own door, and that one to the console's, or says no.
        assert response.status_code in (302, 403, 404, 405), (method, response.status_code)
        if response.status_code == 302:
            doors = r"/(admin/login/|account/login/|admin/$|account/password/change/)"
            assert re.match(doors, response["Location"])
    assert AuditEvent.objects.count() == before


@pytest.mark.parametrize("route", of(API), ids=ids)
def test_a_session_opens_nothing_of_the_api(owner: User, route: Route) -> None:
    path = route.path(dict.fromkeys(route.arguments, "A" * 12))
    for visitor in (Client(), signed_in(owner)):
        answers = [visitor.generic(method.upper(), path, content_type=FORM) for method in METHODS]
        assert {answer.status_code for answer in answers} == {API[route.name], 405}
        assert {answer["Cache-Control"] for answer in answers} == {"no-store"}
        assert not any("Location" in answer for answer in answers)


# From another project


def asked(client: Client, method: str, path: str, headers: dict[str, str]) -> tuple[int, str]:
    """Return the status and what is said, without what differs between any two answers."""
    response = getattr(client, method)(path, headers=headers)
    text = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())
    return response.status_code, text


@pytest.mark.parametrize("route", of(PROJECT), ids=ids)
def test_to_an_outsider_a_project_does_not_exist(
    outsider: User, key: Key, named: dict[str, str], route: Route
) -> None:
    client = signed_in(outsider)
    statuses = set()
    for method, headers in product(METHODS, WAYS):
        real = asked(client, method, route.path(named), headers)
        none = asked(client, method, route.path(named | {"slug": "nowhere"}), headers)
        assert real == none, (method, headers)
        assert real[0] in (404, 405), (method, headers)
        assert "Acme" not in real[1]
        statuses.add(real[0])
    assert 404 in statuses
    assert_untouched(key)


@pytest.mark.parametrize("route", [r for r in of(PROJECT) if set(r.arguments) & set(NOTHING)], ids=ids)
def test_under_another_project_a_row_does_not_exist(
    outsider: User, key: Key, named: dict[str, str], route: Route
) -> None:
    client = signed_in(outsider)
    for method, headers in product(METHODS, WAYS):
        real = asked(client, method, route.path(named | {"slug": "elsewhere"}), headers)
        none = asked(client, method, route.path(named | {"slug": "elsewhere"} | NOTHING), headers)
        assert real == none, (method, headers)
        assert real[0] in (404, 405), (method, headers)
        assert not any(name in real[1] for name in ("Docs crawler", "Support bot", "ines@"))
    assert_untouched(key)


@pytest.mark.parametrize("route", of(PROJECT), ids=ids)
def test_a_deleted_project_does_not_exist_for_its_own_people(
    owner: User, project: Project, named: dict[str, str], route: Route, at: datetime
) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    client = signed_in(owner)
    for method in ("get", "post"):
        status, said = asked(client, method, route.path(named), {})
        assert status in (404, 405)
        assert "Acme" not in said


@pytest.mark.parametrize("route", of(PROJECT), ids=ids)
def test_a_project_that_requires_a_second_factor_is_closed_without_one(
    owner: User, project: Project, key: Key, named: dict[str, str], route: Route
) -> None:
    Project.objects.filter(pk=project.pk).update(require_second_factor=True)
    client, path = signed_in(owner), route.path(named)
    led = 0
    for method, headers in product(METHODS, WAYS):
        response = getattr(client, method)(path, headers=headers)
        assert "Acme" not in response.content.decode(), (method, headers)
        if response.status_code != 405:
            assert leads_to(response).startswith(SECOND_FACTOR)
            led += 1
    assert led
    assert_untouched(key)


@pytest.mark.parametrize("route", of(PROJECT), ids=ids)
def test_with_one_it_is_open(
    owner: User, project: Project, key: Key, named: dict[str, str], route: Route
) -> None:
    Project.objects.filter(pk=project.pk).update(require_second_factor=True)
    enrol(owner)
    client, path = signed_in(owner), route.path(named)
    for method, headers in product(("get", "post"), WAYS):
        assert not leads_to(getattr(client, method)(path, headers=headers)).startswith(SECOND_FACTOR)


def leads_to(response: Any) -> str:
    """Return where an answer leads, a browser or htmx; "" where it leads nowhere."""
    address: str = response.headers.get("HX-Redirect") or response.headers.get("Location", "")
    return address


def test_staff_without_a_membership_are_outsiders_too(outsider: User, project: Project) -> None:
    User.objects.filter(pk=outsider.pk).update(is_staff=True, is_superuser=True)
    assert signed_in(outsider).get("/projects/acme/settings/keys/").status_code == 404


def assert_untouched(key: Key) -> None:
    found = Key.objects.get(pk=key.pk)
    assert (found.version, found.revoked_at, found.confirmed_at) == (key.version, None, None)
    assert Key.objects.filter(project=key.project).count() == 2
    channel = Channel.objects.get(project=key.project)
    assert (channel.name, channel.version, channel.closed_at) == ("Support bot", 1, None)
    assert Invitation.objects.filter(accepted_at=None, revoked_at=None, version=1).count() == 1
    provider_key = ProviderKey.objects.get(project=key.project)
    upstream = Upstream.objects.get(project=key.project)
    assert (provider_key.version, upstream.version) == (1, 1)
    assert upstream.provider_key == provider_key


# What every URL keeps to


@pytest.mark.parametrize("route", of(PERSONAL | PROJECT), ids=ids)
def test_a_get_never_writes(owner: User, named: dict[str, str], route: Route) -> None:
    owner.set_password("correct horse battery")
    owner.save()
    client = signed_in(owner)
    with CaptureQueriesContext(connection) as queries:
        client.get(route.path(named))
    assert written(queries) == []


@pytest.mark.parametrize("route", of(PERSONAL), ids=ids)
def test_a_get_never_writes_for_whoever_has_a_second_factor(
    owner: User, named: dict[str, str], route: Route
) -> None:
    owner.set_password("correct horse battery")
    owner.save()
    enrol(owner)
    client = signed_in(owner)
    with CaptureQueriesContext(connection) as queries:
        client.get(route.path(named))
    assert written(queries) == []


def test_a_get_never_writes_while_one_is_set_up(owner: User) -> None:
    client = freshen(signed_in(owner))
    client.post(SECOND_FACTOR)
    with CaptureQueriesContext(connection) as queries:
        assert Page(client.get(f"{SECOND_FACTOR}set-up/")).heading == "Set up an app"
    assert written(queries) == []


def written(queries: CaptureQueriesContext) -> list[str]:
    return [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]


ODD: Final = ["%00", "%ff", "a%0ab", "%F0%9F%94%91", "..", "'"]


@pytest.mark.parametrize("route", [r for r in of(PROJECT) if r.arguments], ids=ids)
def test_no_path_breaks_it(owner: User, project: Project, route: Route) -> None:
    client = signed_in(owner, raise_request_exception=False)
    for odd, text, method in product(route.arguments, ODD, ("get", "post")):
        path = route.path({"slug": "acme", **NOTHING} | {odd: text})
        response = getattr(client, method)(path)
        assert 400 <= response.status_code < 500, (method, path)


@pytest.mark.parametrize("route", [r for r in of(API) if r.arguments], ids=ids)
def test_no_path_breaks_the_api(client: Client, project: Project, at: datetime, route: Route) -> None:
    token = IssuedFactory(project=project, at=at, type="privileged").token
    client.raise_request_exception = False
    for method, text in product(METHODS, ODD):
        response = client.generic(
            method.upper(), route.path(dict.fromkeys(route.arguments, text)), b"{}",
            content_type="application/json", headers={"Authorization": f"Bearer {token}"},
        )  # fmt: skip
        assert 400 <= response.status_code < 500, (method, text)
