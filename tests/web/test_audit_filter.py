"""The filters of the audit log are posted; the server chooses the address that follows."""

from typing import Any

import pytest
from django.test import Client

from projects.models import Project, User
from tests.factories import IssuedFactory
from tests.web.pages import HTMX, Page, path_and_query, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
EMPTY = {"who": "", "what": "", "key": "", "since": "", "until": ""}
SECRET = "That holds the secret of a key. Give the key's ID instead."
DATE = "Enter a date, such as 2027-02-18."


@pytest.fixture
def vera(viewer: User) -> Client:
    return signed_in(viewer)


def send(client: Client, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url_of("audit_filter"), EMPTY | typed, headers=headers)


def test_what_is_asked_becomes_the_address(vera: Client) -> None:
    response = send(vera, {}, who=" Mara ", what="key", key="A" * 12, since="2026-01-02", until="2026-01-02")
    assert response.status_code == 303
    assert path_and_query(response["Location"]) == (
        url_of("audit_log"),
        {"who": "Mara", "what": "key", "key": "A" * 12, "since": "2026-01-02", "until": "2026-01-02"},
    )


def test_nothing_asked_is_the_whole_log(vera: Client) -> None:
    assert send(vera, {})["Location"] == url_of("audit_log")


def test_htmx_gets_the_rows_and_the_address(vera: Client, project: Project) -> None:
    IssuedFactory(project=project)
    response = send(vera, HTMX, what="project")
    assert response.status_code == 200
    assert response["HX-Push-Url"] == f"{url_of('audit_log')}?what=project"
    page = Page(response)
    assert not page.is_whole
    assert [row["What"].text for row in page.rows("Audit log, newest first")] == ["created the project Acme"]
    assert page.one(id="csv").attrs["href"] == f"{url_of('audit_csv')}?what=project"


def test_a_pasted_key_becomes_its_id_whichever_field_it_was_pasted_into(
    vera: Client, way: dict[str, str]
) -> None:
    for name in ("who", "key"):
        for text in (TOKEN, f" {TOKEN}\n", TOKEN[8:], TOKEN[:40], f"Bearer {TOKEN}"):
            response = send(vera, way, **{name: text})
            assert response.status_code == (200 if way else 303)
            address = response["HX-Redirect"] if way else response["Location"]
            assert path_and_query(address) == (url_of("audit_log"), {name: "7Fq2AAAAbbbb"})
            assert TOKEN[20:30] not in response.content.decode() + str(response.headers)


@pytest.mark.parametrize("name", ["who", "key", "what", "since", "until"])
@pytest.mark.parametrize("text", [TOKEN[20:58], f"x {TOKEN[20:58]}", "kr_\u200blive_" + TOKEN[8:40]])
def test_another_secret_is_refused_and_never_echoed(
    vera: Client, way: dict[str, str], name: str, text: str
) -> None:
    response = send(vera, way, **{name: text})
    assert response.status_code == 422
    page = Page(response)
    assert len(page.problems()) == 1
    if name in ("who", "key"):
        assert page.problems() == [SECRET]
    assert TOKEN[20:30] not in page.source + str(response.headers)


REFUSED = {
    "key": ({"key": "Docs crawler"}, "key", "Enter a key ID: 12 letters and digits."),
    "key of 13": ({"key": "A" * 13}, "key", "Enter a key ID: 12 letters and digits."),
    "day": ({"since": "yesterday"}, "since", DATE),
    "day that isn't": ({"until": "2026-02-30"}, "until", DATE),
    "days": (
        {"since": "2026-02-02", "until": "2026-02-01"}, "until",
        "Choose a last day that isn't before the first.",
    ),
    "what": ({"what": "colour"}, "what", "Choose something that is in the list."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_beside_its_field(
    vera: Client, project: Project, way: dict[str, str], case: str
) -> None:
    typed, name, message = REFUSED[case]
    response = send(vera, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [message]
    summary = page.one(id="errors")
    assert "data-autofocus" in summary.attrs
    assert summary.one("a").attrs["href"] == f"#filter_{name}"
    assert page.one(class_="matches").text == "Nothing is filtered: this is the whole log."
    assert page.rows("Audit log, newest first")
    if not way:
        assert page.title == "Error: Audit log · Acme · Keyrack"
        assert page.one(id=f"filter_{name}_error").text == message
        # A list can't show what isn't in it.
        assert page.form_of("Filter").fields()[name] == ["" if name == "what" else typed[name]]


def test_a_name_with_a_nul_is_refused(vera: Client, way: dict[str, str]) -> None:
    assert send(vera, way, who="a\0b").status_code == 422


def test_it_is_not_taken_from_another_site(viewer: User, way: dict[str, str]) -> None:
    assert send(signed_in(viewer, enforce_csrf_checks=True), way).status_code == 403


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_it_is_only_posted(vera: Client, method: str) -> None:
    assert getattr(vera, method)(url_of("audit_filter")).status_code == 405
