"""Download .env: the secret goes back to whoever still has it, and to nobody else."""

from typing import Any

import pytest
from django.test import Client

from keys.lifecycle import Issued, renew
from projects.models import Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def fresh(make: MakeKey) -> Issued:
    return make(confirmed=False)


def download(client: Client, issued: Issued, token: str, headers: dict[str, str] | None = None) -> Any:
    url = url_of("key_env", issued.key.key_id)
    return client.post(url, {"token": token}, headers=headers or {})


def test_it_comes_as_a_file_that_nothing_keeps(mara: Client, fresh: Issued, way: dict[str, str]) -> None:
    response = download(mara, fresh, fresh.token, way)
    assert response.status_code == 200
    assert response.content.decode() == f"# Docs crawler: Acme, live\nKEYRACK_KEY={fresh.token}\n"
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="docs-crawler.env"'
    assert "no-store" in response["Cache-Control"]
    assert response["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("name", "filename"),
    [
        ('"x"; filename="evil.sh"', "x-filenameevilsh.env"),
        ("../../etc/passwd", "etcpasswd.env"),
        ("Ключ", ""),
    ],
)
def test_the_file_has_a_name_that_no_system_trips_over(
    mara: Client, make: MakeKey, name: str, filename: str
) -> None:
    issued = make(name)
    disposition = download(mara, issued, issued.token)["Content-Disposition"]
    assert disposition == f'attachment; filename="{filename or issued.key.key_id + ".env"}"'


def mistyped(token: str) -> str:
    return token[:-1] + ("a" if token[-1] != "a" else "b")


def test_only_the_keys_own_secret_is_given_back(
    mara: Client, make: MakeKey, fresh: Issued, way: dict[str, str]
) -> None:
    other = make("Other").token
    halves = [fresh.token[:-1], mistyped(fresh.token), f" {fresh.token}"]
    for token in ["", "x", *halves, other, "kr_live_" + "A" * 56]:
        response = download(mara, fresh, token, way)
        assert response.status_code == 422
        assert "Content-Disposition" not in response
        assert "no-store" in response["Cache-Control"]
        page = Page(response)
        assert page.heading == "This isn't the key's secret"
        said = "The secret was replaced, or the page was left. Nothing was downloaded."
        assert page.content.one(role="alert").text == said
        assert page.link("Docs crawler") == url_of("key_detail", fresh.key.key_id)
        assert fresh.token[20:39] not in page.source
        assert other[20:39] not in page.source


def test_a_renewed_secret_is_given_back_and_the_old_one_is_not(
    mara: Client, fresh: Issued, project: Project, owner: User, at: Any, way: dict[str, str]
) -> None:
    again = renew(project, fresh.key.key_id, actor=acting(owner, project), at=at, version=fresh.key.version)
    assert download(mara, fresh, fresh.token, way).status_code == 422
    assert again.token in download(mara, fresh, again.token, way).content.decode()


def test_a_secret_without_a_name_for_it_is_refused(mara: Client, fresh: Issued, way: dict[str, str]) -> None:
    response = mara.post(url_of("key_env", fresh.key.key_id), {}, headers=way)
    assert response.status_code == 422


def test_a_secret_in_the_address_is_not_looked_at(mara: Client, fresh: Issued) -> None:
    url = url_of("key_env", fresh.key.key_id)
    assert mara.post(f"{url}?token={fresh.token}").status_code == 422
    assert mara.get(url, {"token": fresh.token}).status_code == 405


def test_a_viewer_gets_none(viewer: User, fresh: Issued, way: dict[str, str]) -> None:
    response = download(signed_in(viewer), fresh, fresh.token, way)
    assert response.status_code == 403
    page = Page(response)
    assert "You can't do that in Acme." in page.texts("p")
    assert fresh.token[20:39] not in page.source


def test_it_is_not_taken_from_another_site(owner: User, fresh: Issued, way: dict[str, str]) -> None:
    strict = signed_in(owner, enforce_csrf_checks=True)
    response = download(strict, fresh, fresh.token, way)
    assert response.status_code == 403
    assert fresh.token[20:39] not in response.content.decode()


def test_without_javascript_the_shown_secret_is_downloaded(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_create"))
    page = visitor.press("Generate", name="Docs crawler", scopes=["sources:read"])
    form = page.form_of("Download .env")
    response = visitor.client.post(form.action, form.fields())
    token = page.one("output", id="secret").text
    assert response.content.decode().endswith(f"KEYRACK_KEY={token}\n")
