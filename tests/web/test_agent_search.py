"""Searching agent keys; and a pasted key of the other tab, which is said to be there."""

from datetime import datetime

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.lifecycle import Issued, revoke
from projects.models import Project, User
from tests.factories import IssuedFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

AGENTS = "/projects/acme/settings/keys/agents/"
KEYS = "/projects/acme/settings/keys/"
IN_AGENTS = "That key is an agent key: it is under Agent keys. Clear search"
IN_KEYS = "That key is a project key: it is under Project keys. Clear search"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def agent(make: MakeKey) -> Issued:
    make("Night watch", type=KeyType.AGENT)
    return make("Release agent", type=KeyType.AGENT)


@pytest.fixture
def crawler(make: MakeKey) -> Issued:
    return make("Docs crawler")


def names(page: Page) -> list[str]:
    tables = [page.rows(caption) for caption in page.texts("caption") if not caption.startswith("Revoked")]
    return [row["Name"].find("a")[0].text for rows in tables for row in rows]


def matches(page: Page) -> str:
    return page.one(id="listing").one(role="status", class_="matches").text


def revoked_matches(page: Page) -> str:
    return page.one(id="revoked").one(role="status", class_="matches").text


def search(
    client: Client, headers: dict[str, str], tab: str = "agent_search", **typed: str
) -> tuple[str, Page]:
    """Search, and return the address that follows, and the page."""
    response = client.post(url_of(tab), typed, headers=headers)
    if headers:
        assert response.status_code == 200
        return response["HX-Replace-Url"], Page(response)
    assert response.status_code == 303
    return response["Location"], Page(client.get(response["Location"]))


def test_it_finds_agent_keys_by_a_part_of_their_name(
    mara: Client, agent: Issued, make: MakeKey, way: dict[str, str]
) -> None:
    make("Release notes")
    address, page = search(mara, way, q="release")
    assert address == f"{AGENTS}?q=release"
    assert names(page) == ["Release agent"]
    assert matches(page) == "1 key matches. Clear search"


def test_it_says_when_nothing_is_called_so(mara: Client, agent: Issued, way: dict[str, str]) -> None:
    _, page = search(mara, way, q="zzz")
    assert matches(page) == "No keys match “zzz”. Clear search"
    assert names(page) == []


def test_the_sort_stays_and_a_type_from_the_other_tab_does_not(
    mara: Client, agent: Issued, way: dict[str, str]
) -> None:
    address, _ = search(mara, way, q="agent", sort="name", type="viewer", status="active")
    assert address == f"{AGENTS}?sort=name&status=active&q=agent"


def test_a_pasted_agent_key_becomes_its_id_and_is_not_echoed(
    mara: Client, agent: Issued, way: dict[str, str]
) -> None:
    for pasted in (agent.token, agent.token[:40], agent.key.preview, agent.key.key_id):
        address, page = search(mara, way, q=pasted)
        assert address == f"{AGENTS}?key={agent.key.key_id}"
        assert names(page) == ["Release agent"]
        assert agent.token[20:39] not in page.source


def test_a_pasted_project_key_is_said_to_be_under_project_keys(
    mara: Client, agent: Issued, crawler: Issued, way: dict[str, str]
) -> None:
    for pasted in (crawler.token, crawler.token[:30], crawler.key.preview, crawler.key.key_id):
        address, page = search(mara, way, q=pasted)
        assert address == f"{AGENTS}?key={crawler.key.key_id}"
        assert matches(page) == IN_KEYS
        assert names(page) == []
        link = page.one(id="listing").one("a", "Project keys").attrs["href"]
        assert names(Page(mara.get(link))) == ["Docs crawler"]
        assert crawler.token[20:39] not in page.source


def test_a_pasted_agent_key_is_said_to_be_under_agent_keys(
    mara: Client, agent: Issued, crawler: Issued, way: dict[str, str]
) -> None:
    for pasted in (agent.token, agent.key.preview, agent.key.key_id):
        address, page = search(mara, way, "key_search", q=pasted)
        assert address == f"{KEYS}?key={agent.key.key_id}"
        assert matches(page) == IN_AGENTS
        link = page.one(id="listing").one("a", "Agent keys").attrs["href"]
        assert link == f"{AGENTS}?key={agent.key.key_id}"
        assert names(Page(mara.get(link))) == ["Release agent"]


def test_a_revoked_key_of_the_other_tab_is_said_to_be_there_too(
    mara: Client, agent: Issued, project: Project, owner: User, at: datetime, way: dict[str, str]
) -> None:
    revoke(project, agent.key.key_id, actor=acting(owner, project), at=at)
    _, page = search(mara, way, "key_search", q=agent.token)
    assert matches(page) == IN_AGENTS
    _, page = search(mara, way, "key_search", rq=agent.token)
    assert revoked_matches(page) == IN_AGENTS
    link = page.one(id="revoked").one("a", "Agent keys").attrs["href"]
    assert matches(Page(mara.get(link))).startswith("That key was revoked: it is under Revoked keys.")


def test_a_revoked_agent_key_is_found_among_the_revoked_ones(
    mara: Client, agent: Issued, project: Project, owner: User, at: datetime, way: dict[str, str]
) -> None:
    revoke(project, agent.key.key_id, actor=acting(owner, project), at=at)
    _, page = search(mara, way, q=agent.token)
    assert matches(page) == "That key was revoked: it is under Revoked keys. Clear search"
    (row,) = page.rows("Revoked API keys, last revoked first")
    assert row["Name"].text == "Release agent"
    _, page = search(mara, way, rq="release")
    assert revoked_matches(page) == "1 key matches. Clear search"


def test_a_key_of_another_project_is_nowhere(
    mara: Client, agent: Issued, outsider: User, way: dict[str, str]
) -> None:
    theirs = IssuedFactory(type=KeyType.AGENT)
    for tab in ("agent_search", "key_search"):
        _, page = search(mara, way, tab, q=theirs.token)
        assert matches(page) == "No key in Acme matches what you pasted. Clear search"
        assert theirs.key.name not in page.source


def test_a_pasted_key_in_the_address_leaves_it(mara: Client, agent: Issued) -> None:
    response = mara.get(AGENTS, {"q": agent.token})
    assert (response.status_code, response["Location"]) == (303, f"{AGENTS}?key={agent.key.key_id}")


def test_a_secret_without_an_id_matches_nothing(mara: Client, agent: Issued, way: dict[str, str]) -> None:
    address, page = search(mara, way, q=agent.token[20:58])
    assert address == f"{AGENTS}?key=-"
    assert matches(page) == "No key in Acme matches what you pasted. Clear search"


def test_a_viewer_may_search(viewer: User, agent: Issued, way: dict[str, str]) -> None:
    assert names(search(signed_in(viewer), way, q="release")[1]) == ["Release agent"]


def test_it_is_only_posted(mara: Client) -> None:
    assert mara.get(url_of("agent_search"), {"q": "release"}).status_code == 405


def test_a_fragment_empties_the_field_of_a_pasted_key(mara: Client, agent: Issued) -> None:
    _, page = search(mara, HTMX, q=agent.token)
    assert page.one("input", id="id_q").attrs["value"] == ""


def test_without_javascript_the_button_searches_and_the_link_clears(
    owner: User, agent: Issued, crawler: Issued
) -> None:
    visitor = Visitor(owner)
    visitor.visit(AGENTS)
    assert names(visitor.press("Search", q="night")) == ["Night watch"]
    assert len(names(visitor.follow("Clear search"))) == 2
    visitor.press("Search", q=crawler.token)
    page = visitor.visit(visitor.page.one(id="listing").one("a", "Project keys").attrs["href"])
    assert names(page) == ["Docs crawler"]
    assert page.title == "API keys · Acme · Keyrack"
