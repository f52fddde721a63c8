"""Provider keys and upstreams in the administration: to be read; and private addresses, to be allowed."""

import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys.models import ProviderKey
from keys.providers import delete_provider_key
from projects.audit import Actor
from projects.models import AuditEvent, Project, Role, User
from tests.factories import MembershipFactory, ProviderKeyFactory, UpstreamFactory, UserFactory
from tests.web.administration import crawled, routes
from tests.web.pages import Page, Visitor, signed_in

pytestmark = pytest.mark.django_db

KEYS = "/admin/keys/providerkey/"
UPSTREAMS = "/admin/keys/upstream/"
ACME = "/admin/projects/project/acme/"
VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
PASSWORD = "correct horse battery"


@pytest.fixture
def ines(db: None) -> User:
    """Somebody of staff, and a member of nothing."""
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


@pytest.fixture
def key(project: Project) -> ProviderKey:
    key = ProviderKeyFactory(project=project, name="Main OpenAI", secret=VALUE)
    UpstreamFactory(project=project, slug="gpt-4.1", provider_key=key.public_id)
    ProviderKeyFactory(name="Elsewhere", provider="anthropic", secret="short-one")
    return key


def names(client: Client, url: str, caption: str) -> list[str]:
    page = Page(client.get(url))
    return [row["Name"].text for row in page.rows(caption)] if page.find("table") else []


def test_they_are_listed_masked_and_no_page_shows_a_value(staff: Client, key: ProviderKey) -> None:
    rows = Page(staff.get(KEYS)).rows("Provider keys")
    assert [(row["Name"].text, row["Provider"].text, row["Value"].text) for row in rows] == [
        ("Elsewhere", "Anthropic", "Hidden"), ("Main OpenAI", "OpenAI", "sk-…pD7"),
    ]  # fmt: skip
    assert rows[1]["Base URL"].text == "https://api.openai.com/v1"
    for url, page in crawled(staff).items():
        assert VALUE not in page.source, url
        assert VALUE[3:20] not in page.source, url


def test_the_sealed_value_is_not_even_read(staff: Client, key: ProviderKey) -> None:
    for url in (KEYS, f"{KEYS}{key.public_id}/change/", UPSTREAMS, f"{UPSTREAMS}acme.gpt-4.1/change/"):
        with CaptureQueriesContext(connection) as queries:
            assert staff.get(url).status_code == 200
        assert not [query["sql"] for query in queries if re.search(r'"sealed"', query["sql"])]


def test_a_key_s_page_says_where_it_leads_and_what_uses_it(staff: Client, key: ProviderKey) -> None:
    page = Page(staff.get(f"{KEYS}{key.public_id}/change/"))
    facts = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert (
        facts.items()
        >= {
            "Provider": "OpenAI",
            "Value": "sk-…pD7",
            "Base URL": "https://api.openai.com/v1",
            "Header": "Authorization: Bearer …",
            "Used by": "gpt-4.1",
            "Project": "Acme",
        }.items()
    )
    assert page.link("gpt-4.1") == f"{UPSTREAMS}acme.gpt-4.1/change/"
    assert [row["What"].text for row in page.rows("Latest events")] == ["provider_key.created"]


def test_an_upstream_s_page_leads_to_its_key(staff: Client, key: ProviderKey) -> None:
    assert names(staff, UPSTREAMS, "Upstreams") == ["gpt-4.1"]
    page = Page(staff.get(f"{UPSTREAMS}acme.gpt-4.1/change/"))
    assert page.heading == "gpt-4.1 in Acme"
    assert page.content.find("a", "Main OpenAI")[0].attrs["href"] == f"{KEYS}{key.public_id}/change/"


def test_the_events_of_a_deleted_key_are_told_and_lead_to_no_page_that_is_gone(
    staff: Client, key: ProviderKey, project: Project
) -> None:
    delete_provider_key(project, key.public_id, actor=Actor.system(), at=key.created_at)
    page = Page(staff.get("/admin/projects/auditevent/?project=acme"))
    latest = page.rows("Audit log")[0]
    assert (latest["What"].text, latest["Which"].text, latest["Changed"].text) == (
        "provider_key.deleted", "Main OpenAI", "upstreams: gpt-4.1 → none",
    )  # fmt: skip
    assert not latest["Which"].find("a")
    crawled(staff)


def test_they_are_found_by_name_project_and_provider(staff: Client, key: ProviderKey) -> None:
    visitor = Visitor(User.objects.get(email="ines@example.test"))
    visitor.visit(KEYS)
    page = visitor.press("Search", q="MAIN")
    assert visitor.url == f"{KEYS}?q=MAIN"
    assert [row["Name"].text for row in page.rows("Provider keys")] == ["Main OpenAI"]
    assert names(staff, f"{KEYS}?project=acme", "Provider keys") == ["Main OpenAI"]
    assert names(staff, f"{KEYS}?provider=anthropic", "Provider keys") == ["Elsewhere"]
    assert names(staff, f"{UPSTREAMS}?q=gpt", "Upstreams") == ["gpt-4.1"]


@pytest.mark.parametrize("secret", [VALUE, "0123456789abcdef0123456789abcdef", "hunter2"])
def test_a_pasted_value_becomes_no_address(staff: Client, key: ProviderKey, secret: str) -> None:
    response = staff.post(f"{KEYS}search/", {"q": secret})
    assert (response.status_code, response["Location"]) == (303, KEYS)
    page = Page(staff.get(KEYS))
    assert page.messages() == ["No provider key has that in its name."]
    assert secret not in page.source


def test_nothing_of_them_is_changed_here() -> None:
    mine = {name for name in routes() if name.startswith(("keys_providerkey", "keys_upstream"))}
    assert mine == {
        f"keys_{model}_{verb}"
        for model in ("providerkey", "upstream")
        for verb in ("changelist", "search", "change")
    }


@pytest.mark.parametrize("address", ["A" * 12, "nothing", "%00", "acme.nothing", "1"])
def test_what_is_not_there_is_not_found(staff: Client, key: ProviderKey, address: str) -> None:
    assert staff.get(f"{KEYS}{address}/change/").status_code == 404
    assert staff.get(f"{UPSTREAMS}{address}/change/").status_code == 404


def test_an_owner_is_no_staff(owner: User, key: ProviderKey) -> None:
    for url in (KEYS, UPSTREAMS, f"{KEYS}{key.public_id}/change/", f"{ACME}private/"):
        assert signed_in(owner).get(url).status_code == 302
    assert signed_in(owner).post(f"{ACME}private/", {"allow": "1"}).status_code == 302
    assert not Project.objects.get(slug="acme").private_upstreams


# Private addresses


def test_staff_allow_private_addresses_and_forbid_them(ines: User, project: Project) -> None:
    visitor = Visitor(ines)
    page = visitor.visit(f"{ACME}change/")
    assert "Not allowed" in page.texts("dd")
    page = visitor.follow("Private addresses")
    assert page.heading == "Allow private addresses in Acme?"
    assert not page.find("label")
    page = visitor.press("Allow private addresses")
    assert page.messages() == ["Provider keys of Acme may lead to private addresses."]
    assert "Allowed" in page.texts("dd")
    assert Project.objects.get(pk=project.pk).private_upstreams
    event = AuditEvent.objects.filter(project_id=project.pk).latest("number")
    assert (event.verb, event.actor_label, event.changes) == (
        "project.private_upstreams", "Ines Varga", {"private_upstreams": [False, True]},
    )  # fmt: skip
    page = visitor.follow("Private addresses")
    assert page.heading == "Forbid private addresses in Acme?"
    assert "Provider keys that lead to private addresses can't be used from then on." in page.texts("p")
    visitor.press("Forbid private addresses")
    assert not Project.objects.get(pk=project.pk).private_upstreams


def test_a_second_click_does_not_do_the_contrary(staff: Client, project: Project) -> None:
    for _ in range(2):
        assert staff.post(f"{ACME}private/", {"allow": "1"}).status_code == 303
    assert Project.objects.get(pk=project.pk).private_upstreams
    # Without a word, or with another, nothing is allowed.
    for typed in ({}, {"allow": "yes please"}):
        staff.post(f"{ACME}private/", typed)
        assert not Project.objects.get(pk=project.pk).private_upstreams


def test_it_asks_for_the_password_again(project: Project) -> None:
    jan = User.objects.create_user("jan@example.test", PASSWORD, is_staff=True)
    MembershipFactory(project=project, role=Role.OWNER)
    client = signed_in(jan)
    assert client.get(f"{ACME}private/")["Location"].startswith("/account/reauthenticate/?next=")
    assert client.post(f"{ACME}private/", {"allow": "1"})["Location"] == f"{ACME}private/"
    assert not Project.objects.get(pk=project.pk).private_upstreams


def test_it_is_not_offered_for_a_deleted_project(staff: Client, project: Project, key: ProviderKey) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=key.created_at)
    assert not Page(staff.get(f"{ACME}change/")).content.find("a", "Private addresses")
    response = staff.post(f"{ACME}private/", {"allow": "1"})
    assert (response.status_code, Page(response).problems()) == (422, ["This project was deleted."])
