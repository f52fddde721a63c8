"""Searching for a provider key: what was typed becomes an address only where it is a part of a name."""

import pytest
from django.test import Client

from projects.models import Project, User
from tests.factories import ProviderKeyFactory, UpstreamFactory
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "/projects/acme/settings/providers/"
KEYS = "Provider keys, by name"
NOTHING = "No provider key has that in its name. Clear search"

# Shaped as some providers' are; like a checksum; like a word.
VALUES = [
    "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7",
    "0123456789abcdef0123456789abcdef",
    "hunter2",
    "kr_live_" + "a1B2" * 14,
]


@pytest.fixture
def vera(viewer: User, project: Project) -> Client:
    for name in ("Main OpenAI", "Spare OpenAI", "Claude"):
        ProviderKeyFactory(project=project, name=name)
    return signed_in(viewer)


def names(page: Page) -> list[str]:
    return [row["Name"].text for row in page.rows(KEYS)] if page.find("table") else []


def matches(page: Page) -> str:
    return page.one(role="status", class_="matches").text


def search(client: Client, headers: dict[str, str], **typed: str) -> tuple[str, Page]:
    """Search, and return the query of the address that follows, and the page."""
    response = client.post(url_of("provider_key_search"), typed, headers=headers)
    if headers:
        assert response.status_code == 200
        address = response["HX-Replace-Url"]
    else:
        assert response.status_code == 303
        address = response["Location"]
        response = client.get(address)
        assert response.status_code == 200
    path, _, query = address.partition("?")
    assert path == LIST
    return query, Page(response)


@pytest.mark.parametrize("term", ["openai", " OpenAI ", "ＯＰＥＮ", "n OPEN"])
def test_it_finds_a_part_of_a_name_in_any_case(vera: Client, way: dict[str, str], term: str) -> None:
    query, page = search(vera, way, q=term)
    assert query.startswith("q=")
    found = ["Main OpenAI"] if term == "n OPEN" else ["Main OpenAI", "Spare OpenAI"]
    assert names(page) == found
    assert matches(page).endswith(" Clear search")
    assert page.link("Clear search") == f"{LIST}?"


def test_it_says_how_many_it_found(vera: Client, way: dict[str, str]) -> None:
    assert matches(search(vera, way, q="openai")[1]) == "2 provider keys match. Clear search"
    assert matches(search(vera, way, q="clau")[1]) == "1 provider key matches. Clear search"


@pytest.mark.parametrize("secret", VALUES)
def test_a_pasted_value_becomes_no_address_and_comes_back_in_no_page(
    vera: Client, way: dict[str, str], secret: str
) -> None:
    query, page = search(vera, way, q=secret)
    assert query == "none=1"
    assert (names(page), matches(page)) == ([], NOTHING)
    assert secret not in page.source


@pytest.mark.parametrize("secret", VALUES)
def test_one_that_somebody_typed_into_the_address_leaves_it(
    vera: Client, way: dict[str, str], secret: str
) -> None:
    response = vera.get(LIST, {"q": secret}, headers=way)
    assert (response.status_code, response["Location"]) == (303, f"{LIST}?none=1")
    assert not response.content


def test_a_search_that_was_kept_and_finds_nothing_any_more_leaves_too(vera: Client, project: Project) -> None:
    assert vera.get(LIST, {"q": "claude"}).status_code == 200
    project.provider_keys.filter(name="Claude").delete()
    assert vera.get(LIST, {"q": "claude"})["Location"] == f"{LIST}?none=1"


@pytest.mark.parametrize("term", ["", "   ", "\0"])
def test_a_blank_search_shows_everything(vera: Client, way: dict[str, str], term: str) -> None:
    query, page = search(vera, way, q=term)
    assert query == ""
    assert len(names(page)) == 3
    assert matches(page) == ""


def test_it_keeps_the_place_in_the_other_table(vera: Client, project: Project, way: dict[str, str]) -> None:
    for slug in ("a", "b"):
        UpstreamFactory(project=project, slug=slug)
    query, page = search(vera, way, q="claude", uafter="a", after="AAAAAAAAAAAA")
    assert query == "uafter=a&q=claude"
    assert [row["Name"].text for row in page.rows("Upstreams, by name")] == ["b"]
    assert search(vera, way, q="claude", uafter="<b>")[0] == "q=claude"


def test_another_project_s_names_are_not_found(vera: Client, way: dict[str, str]) -> None:
    ProviderKeyFactory(name="Elsewhere")
    assert search(vera, way, q="elsewhere")[0] == "none=1"


def test_without_javascript_a_button_searches(viewer: User, vera: Client) -> None:
    visitor = Visitor(viewer)
    visitor.visit(LIST)
    page = visitor.press("Search", q="main")
    assert visitor.url == f"{LIST}?q=main"
    assert page.one("input", id="id_q").attrs["value"] == "main"
    assert names(visitor.follow("Clear search")) == ["Claude", "Main OpenAI", "Spare OpenAI"]


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_it_is_posted_only(vera: Client, method: str) -> None:
    assert getattr(vera, method)(url_of("provider_key_search")).status_code == 405
