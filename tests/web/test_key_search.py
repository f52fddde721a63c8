"""Searching: by name, and by a key that is pasted, which never becomes an address or comes back."""

from datetime import datetime

import pytest
from django.test import Client

from keys.lifecycle import Issued, revoke
from projects.models import Project, User
from tests.factories import IssuedFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

KEYS = "/projects/acme/settings/keys/"
NO_KEY = "No key in Acme matches what you pasted. Clear search"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def crawler(make: MakeKey) -> Issued:
    make("Billing webhooks")
    return make()


def names(page: Page) -> list[str]:
    captions = [caption for caption in page.texts("caption") if caption.startswith("Project")]
    return [row["Name"].find("a")[0].text for caption in captions for row in page.rows(caption)]


def revoked_names(page: Page) -> list[str]:
    captions = [caption for caption in page.texts("caption") if caption.startswith("Revoked")]
    return [row["Name"].find("a")[0].text for caption in captions for row in page.rows(caption)]


def matches(page: Page) -> str:
    return page.one(id="listing").one(role="status", class_="matches").text


def search(client: Client, headers: dict[str, str], **typed: str) -> tuple[str, Page]:
    """Search, and return the query of the address that follows, and the page."""
    response = client.post(url_of("key_search"), typed, headers=headers)
    if headers:
        assert response.status_code == 200
        address = response["HX-Replace-Url"]
    else:
        assert response.status_code == 303
        address = response["Location"]
        assert not response.content
        response = client.get(address)
        assert response.status_code == 200
    path, _, query = address.partition("?")
    assert path == KEYS
    return query, Page(response)


# By name


def test_the_server_chooses_the_address(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    query, page = search(mara, way, q="bill")
    assert query == "q=bill"
    assert names(page) == ["Billing webhooks"]
    assert matches(page) == "1 key matches. Clear search"


def test_a_fragment_says_that_it_varies(mara: Client) -> None:
    response = mara.post(url_of("key_search"), {"q": "bill"}, headers=HTMX)
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert not page.is_whole
    assert page.find(id="listing")


@pytest.mark.parametrize("term", ["Docs", "docs CRAWLER", "  crawl ", "ＤＯＣＳ"])
def test_it_finds_a_part_of_a_name_in_any_case(
    mara: Client, crawler: Issued, way: dict[str, str], term: str
) -> None:
    _, page = search(mara, way, q=term)
    assert names(page) == ["Docs crawler"]


def test_it_says_when_nothing_is_called_so(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    query, page = search(mara, way, q="<b>50 % & more</b>")
    assert matches(page) == "No keys match “<b>50 % & more</b>”. Clear search"
    assert not names(page)
    assert "<b>50" not in page.source
    if not way:
        assert page.one("input", id="id_q").attrs["value"] == "<b>50 % & more</b>"
        assert query == "q=%3Cb%3E50+%25+%26+more%3C%2Fb%3E"


@pytest.mark.parametrize("term", ["", "   "])
def test_a_blank_search_shows_everything(
    mara: Client, crawler: Issued, way: dict[str, str], term: str
) -> None:
    query, page = search(mara, way, q=term)
    assert query == ""
    assert len(names(page)) == 3
    assert matches(page) == ""


def test_a_long_term_is_cut(mara: Client, way: dict[str, str]) -> None:
    query, _ = search(mara, way, q="many words " * 100)
    assert len(query) == len("q=") + 100


def test_a_character_that_no_database_takes_is_dropped(
    mara: Client, crawler: Issued, way: dict[str, str]
) -> None:
    query, page = search(mara, way, q="do\0cs")
    assert query == "q=docs"
    assert names(page) == ["Docs crawler"]


def test_a_viewer_may_search(viewer: User, crawler: Issued, way: dict[str, str]) -> None:
    _, page = search(signed_in(viewer), way, q="docs")
    assert names(page) == ["Docs crawler"]


def test_it_is_only_posted(mara: Client) -> None:
    assert mara.get(url_of("key_search"), {"q": "bill"}).status_code == 405


def test_without_javascript_the_button_searches_and_the_link_clears(owner: User, crawler: Issued) -> None:
    visitor = Visitor(owner)
    page = visitor.visit(KEYS)
    assert page.one("form", aria_label="API keys", role="search").one("label").text == "Search by name or key"
    assert "Paste a full key to find its row. It is never stored or logged." in page.texts("p")
    assert names(visitor.press("Search", q="docs")) == ["Docs crawler"]
    assert len(names(visitor.follow("Clear search"))) == 3
    assert names(visitor.press("Search", q=crawler.token)) == ["Docs crawler"]
    assert visitor.url == f"{KEYS}?key={crawler.key.key_id}"


# By a key


PASTED = {
    "the token": "{token}",
    "with blanks around": "  {token}\n",
    "in a header": "Authorization: Bearer {token}",
    "in a .env line": "KEYRACK_KEY={token}",
    "most of it": "{most}",
    "little more than its key id": "{start}x",
    "without its prefix": "{bare}",
    "the key id behind the prefix": "{start}",
    "the key id alone": "{key_id}",
    "the preview": "{preview}",
    "the preview without its prefix": "{short}",
    "the preview as typed": "{dots}",
}


def pasted(issued: Issued, form: str) -> str:
    token, preview = issued.token, issued.key.preview
    return PASTED[form].format(
        token=token,
        key_id=issued.key.key_id,
        most=token[:50],
        start=token[:20],
        bare=token[8:],
        preview=preview,
        short=preview[8:],
        dots=preview.replace("…", "..."),
    )


@pytest.mark.parametrize("form", PASTED)
def test_a_pasted_key_is_found_by_its_id(
    mara: Client, crawler: Issued, way: dict[str, str], form: str
) -> None:
    text = pasted(crawler, form)
    query, page = search(mara, way, q=text)
    assert query == f"key={crawler.key.key_id}"
    assert names(page) == ["Docs crawler"]
    assert matches(page) == "1 key matches. Clear search"
    assert crawler.token[20:40] not in page.source
    # The field is emptied, and a swap doesn't leave what was pasted in it.
    box = page.one("input", id="id_q")
    assert box.attrs["value"] == ""
    assert ("hx-swap-oob" in box.attrs) is bool(way)


@pytest.mark.parametrize(
    "text",
    [
        "kr_live_" + "A" * 56,
        "kr_live_AAAA…BBBB",
        "S3cretS3cretS3cretS3cretS3cretS3cretS3",
        "kr_\u200blive_" + "B" * 20,
    ],
    ids=["unknown token", "unknown preview", "bare secret", "hidden token"],
)
def test_it_says_that_no_key_matches_without_repeating_it(
    mara: Client, crawler: Issued, way: dict[str, str], text: str
) -> None:
    query, page = search(mara, way, q=text)
    assert query in ("key=-", "key=AAAAAAAAAAAA")
    assert matches(page) == NO_KEY
    assert not names(page)
    assert text not in page.source
    assert text[8:] not in page.source


@pytest.mark.parametrize("text", ["S3cretS3cretS3cretS3cretS3cretS3cretS3", "kr_live_AAAA…BBBB"])
def test_what_no_key_can_be_known_by_becomes_a_dash(mara: Client, way: dict[str, str], text: str) -> None:
    query, _ = search(mara, way, q=text)
    assert query == "key=-"


def test_a_preview_needs_both_its_ends(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    other = crawler.key.preview[:-4] + ("AAAA" if crawler.key.last4 != "AAAA" else "BBBB")
    query, _ = search(mara, way, q=other)
    assert query == "key=-"


def test_a_key_of_another_project_matches_nothing(
    mara: Client, outsider: User, way: dict[str, str], at: datetime
) -> None:
    elsewhere = outsider.memberships.get().project
    foreign = IssuedFactory(project=elsewhere, at=at, name="Foreign")
    for text in (foreign.token, foreign.key.preview):
        _, page = search(mara, way, q=text)
        assert matches(page) == NO_KEY
        assert "Foreign" not in page.source


def test_a_pasted_key_that_was_revoked_is_found_among_the_revoked(
    mara: Client, crawler: Issued, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    revoke(project, crawler.key.key_id, actor=acting(owner, project), at=at)
    _, page = search(mara, way, q=crawler.token)
    assert matches(page) == "That key was revoked: it is under Revoked keys. Clear search"
    assert not names(page)
    assert revoked_names(page) == ["Docs crawler"]


def test_a_name_that_could_be_a_key_id_is_still_a_name(
    mara: Client, make: MakeKey, way: dict[str, str]
) -> None:
    make("Dependabot12")
    query, page = search(mara, way, q="Dependabot12")
    assert query == "q=Dependabot12"
    assert names(page) == ["Dependabot12"]


# By an address that holds one


@pytest.mark.parametrize("name", ["q", "rq"])
def test_a_typed_address_with_a_key_leads_away_from_it(
    mara: Client, crawler: Issued, way: dict[str, str], name: str
) -> None:
    response = mara.get(KEYS, {name: crawler.token, "sort": "name"}, headers=way)
    assert response.status_code == 303
    path, query = path_and_query(response["Location"])
    assert path == KEYS
    key_name = {"q": "key", "rq": "rkey"}[name]
    assert query == {"sort": "name", key_name: crawler.key.key_id}
    assert not response.content


def test_a_typed_address_with_a_bare_secret_leads_away_too(mara: Client, crawler: Issued) -> None:
    response = mara.get(KEYS, {"q": "S3cretS3cretS3cretS3cretS3cretS3cretS3"})
    assert (response.status_code, response["Location"]) == (303, f"{KEYS}?key=-")


def test_an_address_that_htmx_comes_from_is_not_repeated_either(mara: Client, crawler: Issued) -> None:
    came_from = {"HX-Current-URL": f"http://testserver{KEYS}?q={crawler.token}"}
    response = mara.post(url_of("key_confirm", crawler.key.key_id), headers=HTMX | came_from)
    assert crawler.token[20:40] not in response.content.decode()


# Beside filters, sorting and the other table's search


def test_a_search_keeps_the_rest_of_the_address_but_its_page(
    mara: Client, crawler: Issued, way: dict[str, str]
) -> None:
    asked = {"sort": "name", "type": "restricted", "rq": "old", "after": crawler.key.key_id}
    page = Page(mara.get(KEYS, asked))
    tied = {box.attrs["name"]: box.attrs["value"] for box in page.find("input", form="search-keys")}
    assert tied == {"sort": "name", "type": "restricted", "rq": "old"}
    query, page = search(mara, way, q="docs", **tied)
    assert path_and_query(f"?{query}")[1] == tied | {"q": "docs"}
    assert names(page) == ["Docs crawler"]


def test_what_is_filtered_keeps_the_search(mara: Client, crawler: Issued) -> None:
    page = Page(mara.get(KEYS, {"q": "docs", "rq": "old"}))
    tied = {box.attrs["name"]: box.attrs["value"] for box in page.find("input", form="filter-keys")}
    assert tied == {"q": "docs", "rq": "old"}


def test_a_search_of_nonsense_filters_forgets_them(
    mara: Client, crawler: Issued, way: dict[str, str]
) -> None:
    query, page = search(mara, way, q="docs", type="golden", sort="sideways")
    assert query == "q=docs"
    assert names(page) == ["Docs crawler"]


def test_a_fresh_search_replaces_a_pasted_key(mara: Client, crawler: Issued, way: dict[str, str]) -> None:
    query, _ = search(mara, way, q="bill")
    assert query == "q=bill"
    page = Page(mara.get(KEYS, {"key": crawler.key.key_id}))
    assert not page.find("input", form="search-keys")


def test_the_revoked_have_a_search_of_their_own(
    mara: Client, make: MakeKey, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    make("Alive and old")
    ended = [make("Old sync"), make("Contractor")]
    for issued in ended:
        revoke(project, issued.key.key_id, actor=acting(owner, project), at=at)
    query, page = search(mara, way, rq="old", sort="name")
    assert path_and_query(f"?{query}")[1] == {"sort": "name", "rq": "old"}
    assert revoked_names(page) == ["Old sync"]
    assert "Alive and old" in names(page)
    section = page.one("section", id="revoked")
    assert section.one(role="status").text == "1 key matches. Clear search"
    assert path_and_query(section.one("a", "Clear search").attrs["href"])[1] == {"sort": "name"}
    query, page = search(mara, way, rq=ended[1].token)
    assert query == f"rkey={ended[1].key.key_id}"
    assert revoked_names(page) == ["Contractor"]
    assert page.one("input", id="id_rq").attrs["value"] == ""
    assert ended[1].token[20:40] not in page.source
    _, page = search(mara, way, rq="nobody")
    assert page.one("section", id="revoked").one(role="status").text.startswith("No keys match “nobody”.")
    assert page.one("form", aria_label="Revoked keys", role="search")
