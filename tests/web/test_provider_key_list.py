"""The page of provider keys and upstreams: what it shows, and to whom."""

from datetime import datetime

import pytest
from django.test import Client

from projects.models import Project, User
from tests.factories import ProjectFactory, ProviderKeyFactory, UpstreamFactory
from tests.web.pages import HTMX, Page, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

KEYS, UPSTREAMS = "Provider keys, by name", "Upstreams, by name"
VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"


@pytest.fixture
def ada(admin: User) -> Client:
    return signed_in(admin)


@pytest.fixture
def stocked(project: Project, at: datetime) -> Project:
    """Two provider keys, three upstreams; another project has some of its own."""
    main = ProviderKeyFactory(project=project, name="Main OpenAI", secret=VALUE, at=at)
    ProviderKeyFactory(project=project, name="Claude", provider="anthropic", secret="short-one", at=at)
    for slug in ("gpt-5", "gpt-4.1"):
        UpstreamFactory(project=project, slug=slug, provider_key=main.public_id)
    UpstreamFactory(project=project, slug="claude")
    elsewhere = ProviderKeyFactory(name="Elsewhere", project=ProjectFactory(name="Bravo"))
    UpstreamFactory(project=elsewhere.project, slug="theirs", provider_key=elsewhere.public_id)
    return project


def shown(client: Client, headers: dict[str, str] | None = None, query: str = "") -> Page:
    response = client.get(url_of("provider_key_list") + query, headers=headers or {})
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    return Page(response)


def names(page: Page) -> list[str]:
    return [row["Name"].text for row in page.rows(KEYS)]


def test_it_shows_each_key_masked_with_what_uses_it(
    ada: Client, stocked: Project, way: dict[str, str]
) -> None:
    page = shown(ada, way)
    assert page.is_whole is not bool(way)
    claude, main = page.rows(KEYS)
    assert {name: cell.text for name, cell in main.items() if name != "Updated"} == {
        "Name": "Main OpenAI",
        "Provider": "OpenAI api.openai.com/v1",
        "Value": "sk-…pD7",
        "Used by": "gpt-4.1, gpt-5",
        "Actions": "EditDelete",
    }
    assert main["Updated"].one("time").attrs["data-when"] == "absolute"
    # Of a short value nothing is shown.
    assert (claude["Name"].text, claude["Value"].text, claude["Used by"].text) == (
        "Claude", "Hidden", "Nothing",
    )  # fmt: skip
    assert "Elsewhere" not in page.source
    assert VALUE not in page.source
    if not way:
        assert page.title == "Provider keys · Acme · Keyrack"
        rail = page.one("nav", aria_label="Settings")
        assert rail.one("a", aria_current="page").text == "Provider keys"
        assert rail.texts("a")[:3] == ["General", "API keys", "Provider keys"]


def test_each_row_can_be_edited_and_deleted_under_its_own_name(ada: Client, stocked: Project) -> None:
    page = shown(ada)
    key = stocked.provider_keys.get(name="Claude")
    assert page.link("Edit Claude") == url_of("provider_key_edit", key.public_id)
    assert page.link("Delete Claude") == url_of("provider_key_delete", key.public_id)
    assert page.link("New provider key") == url_of("provider_key_create")
    assert page.link("New upstream") == url_of("upstream_create")


def test_each_upstream_has_its_provider_key_as_a_select_that_works_by_itself(
    ada: Client, stocked: Project, way: dict[str, str]
) -> None:
    page = shown(ada, way)
    rows = page.rows(UPSTREAMS)
    assert [row["Name"].text for row in rows] == ["claude", "gpt-4.1", "gpt-5"]
    select = page.one("select", "Provider key of gpt-5")
    assert select.texts("option") == ["None", "Claude", "Main OpenAI"]
    main = stocked.provider_keys.get(name="Main OpenAI")
    form = page.form_of("Save gpt-5")
    assert form.action == form.node.attrs["hx-post"] == url_of("upstream_select", "gpt-5")
    fields = {name: value for name, value in form.fields().items() if name != "csrfmiddlewaretoken"}
    assert fields == {"version": ["1"], "provider_key": [main.public_id]}
    assert page.form_of("Save claude").fields()["provider_key"] == [""]
    assert page.link("Delete gpt-4.1") == url_of("upstream_delete", "gpt-4.1")


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_may_not_change_them_sees_no_values_and_whom_to_ask(
    request: pytest.FixtureRequest, stocked: Project, who: str, way: dict[str, str]
) -> None:
    page = shown(signed_in(request.getfixturevalue(who)), way)
    assert list(page.rows(KEYS)[1]) == ["Name", "Provider", "Used by", "Updated"]
    assert [row["Provider key"].text for row in page.rows(UPSTREAMS)] == [
        "None",
        "Main OpenAI",
        "Main OpenAI",
    ]
    assert "sk-…" not in page.source
    content = page.content
    assert not content.find("select")
    assert not [form for form in content.find("form") if "select/" in form.attrs.get("action", "")]
    for verb in ("Edit Claude", "Delete Claude", "New provider key", "New upstream", "Delete gpt-5"):
        assert not content.find("a", verb)
    if not way:
        note = "You can view provider keys. Ask an admin to add or change them."
        assert note in page.texts("p", class_="note")


def test_an_owner_is_an_admin_too(owner: User, stocked: Project) -> None:
    assert shown(signed_in(owner)).find("a", "New provider key")


def test_without_any_it_says_what_they_are_for(ada: Client, project: Project, way: dict[str, str]) -> None:
    page = shown(ada, way)
    assert not page.find("table")
    assert [box.texts("h2") for box in page.find(class_="empty")] == [["No provider keys yet"], []]
    assert "No upstreams yet. Add one for each provider or model that is called." in page.texts("p")


def test_a_key_that_many_upstreams_use_names_the_first_of_them(
    ada: Client, project: Project, way: dict[str, str]
) -> None:
    key = ProviderKeyFactory(project=project)
    for number in range(5):
        UpstreamFactory(project=project, slug=f"model-{number}", provider_key=key.public_id)
    assert shown(ada, way).rows(KEYS)[0]["Used by"].text == "model-0, model-1, model-2 and 2 more"


def test_its_tables_have_pages_of_their_own(ada: Client, project: Project) -> None:
    for number in range(51):
        ProviderKeyFactory(project=project, name=f"Key {number:02}")
        UpstreamFactory(project=project, slug=f"model-{number:02}")
    page = shown(ada)
    assert len(page.rows(KEYS)) == len(page.rows(UPSTREAMS)) == 50
    keys = page.one("nav", aria_label="Pagination")
    upstreams = page.one("nav", aria_label="Pagination of upstreams")
    assert keys.texts("a") == upstreams.texts("a") == ["Next"]
    _, query = path_and_query(keys.one("a").attrs["href"])
    page = shown(ada, query=keys.one("a").attrs["href"].partition("?")[2].join(["?", ""]))
    assert names(page) == ["Key 50"]
    assert set(query) == {"after"}
    assert len(page.rows(UPSTREAMS)) == 50
    # The other table's place is kept.
    both = page.one("nav", aria_label="Pagination of upstreams").one("a", "Next").attrs["href"]
    page = shown(ada, query="?" + both.partition("?")[2])
    assert (names(page), [row["Name"].text for row in page.rows(UPSTREAMS)]) == (["Key 50"], ["model-50"])
    back = page.one("nav", aria_label="Pagination").one("a", "Previous").attrs["href"]
    assert names(shown(ada, query="?" + back.partition("?")[2]))[0] == "Key 00"


def test_after_a_turn_of_the_page_the_focus_is_at_the_table(ada: Client, project: Project) -> None:
    key = ProviderKeyFactory(project=project, name="A key")
    ProviderKeyFactory(project=project, name="B key")
    for slug in ("a", "b"):
        UpstreamFactory(project=project, slug=slug)
    for query, target in ((f"?after={key.public_id}", "#provider-keys"), ("?uafter=a", "#upstream-rows")):
        response = ada.get(url_of("provider_key_list") + query, headers=HTMX)
        assert target in response["HX-Trigger-After-Settle"]
        assert f'id="{target[1:]}"' in response.content.decode()


@pytest.mark.parametrize("query", ["?after=AAAAAAAAAAAA", "?uafter=nothing", "?before=AAAAAAAAAAAA"])
def test_a_place_that_is_gone_leads_to_the_beginning(
    ada: Client, stocked: Project, way: dict[str, str], query: str
) -> None:
    response = ada.get(url_of("provider_key_list") + query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    problem = "This page of the list isn't there any more. Here is its beginning. Show all provider keys"
    assert page.one("p", role="alert").text == problem
    assert names(page) == ["Claude", "Main OpenAI"]


@pytest.mark.parametrize("query", ["?after=x", "?uafter=X", "?after=' OR 1=1", "?uafter=%00", "?after=%00"])
def test_a_link_that_asks_for_nothing_we_have_is_told_so(
    ada: Client, stocked: Project, way: dict[str, str], query: str
) -> None:
    response = ada.get(url_of("provider_key_list") + query, headers=way)
    assert response.status_code == 400
    page = Page(response)
    assert "This link asks for something that isn't here." in page.one("p", role="alert").text
    assert names(page) == ["Claude", "Main OpenAI"]


def test_another_project_s_rows_are_no_place_in_this_list(ada: Client, stocked: Project) -> None:
    theirs = ProviderKeyFactory(name="Theirs")
    assert ada.get(f"{url_of('provider_key_list')}?after={theirs.public_id}").status_code == 400
    assert ada.get(f"{url_of('provider_key_list')}?uafter=theirs").status_code == 400


@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
def test_it_is_read_only(ada: Client, project: Project, method: str) -> None:
    assert getattr(ada, method)(url_of("provider_key_list")).status_code == 405
