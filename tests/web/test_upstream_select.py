"""The select of an upstream's row: another provider key is all it takes to switch."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.models import ProviderKey, Upstream
from keys.providers import delete_provider_key, select_provider_key
from projects.models import Project, User
from projects.moments import Moment
from tests.factories import ProviderKeyFactory, UpstreamFactory, acting
from tests.web.pages import HTMX, Page, Visitor, freshen, let_half_an_hour_pass, signed_in, url_of
from tests.web.people import PASSWORD

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/providers/"


@pytest.fixture
def ada(admin: User) -> Client:
    return freshen(signed_in(admin))


@pytest.fixture
def main(project: Project) -> ProviderKey:
    return ProviderKeyFactory(project=project, name="Main OpenAI")


@pytest.fixture
def spare(project: Project) -> ProviderKey:
    return ProviderKeyFactory(project=project, name="Spare")


@pytest.fixture(autouse=True)
def upstream(project: Project, main: ProviderKey) -> Upstream:
    return UpstreamFactory(project=project, slug="gpt-4.1", provider_key=main.public_id)


def select(client: Client, public_id: str, headers: dict[str, str] | None = None, **typed: str) -> Any:
    fields = {"provider_key": public_id, "version": "1"} | typed
    return client.post(url_of("upstream_select", "gpt-4.1"), fields, headers=headers or {})


def selected() -> ProviderKey | None:
    return Upstream.objects.select_related("provider_key").get().provider_key


def test_it_switches(ada: Client, spare: ProviderKey, way: dict[str, str]) -> None:
    response = select(ada, spare.public_id, way | ({"HX-Current-URL": LIST} if way else {}))
    if way:
        assert (response.status_code, response["HX-Retarget"]) == (200, "#listing")
        done = json.loads(response["HX-Trigger-After-Settle"])
        assert done["keyrack:focus"] == {"target": "#upstream-gpt-4_1"}
        page = Page(response)
    else:
        assert (response.status_code, response["Location"]) == (303, url_of("provider_key_list"))
        page = Page(ada.get(response["Location"]))
    assert page.messages() == ["gpt-4.1 uses Spare."]
    form = page.form_of("Save gpt-4.1").fields()
    assert (form["provider_key"], form["version"]) == ([spare.public_id], ["2"])
    assert selected() == spare


def test_it_takes_the_key_away(ada: Client, way: dict[str, str]) -> None:
    response = select(ada, "", way)
    assert selected() is None
    page = Page(response) if way else Page(ada.get(response["Location"]))
    assert page.messages() == ["gpt-4.1 uses no provider key."]


def test_the_page_stays_where_it_was(ada: Client, project: Project, spare: ProviderKey) -> None:
    UpstreamFactory(project=project, slug="aaa")
    response = select(ada, spare.public_id, HTMX | {"HX-Current-URL": f"{LIST}?uafter=aaa&q=spare"})
    page = Page(response)
    assert [row["Name"].text for row in page.rows("Upstreams, by name")] == ["gpt-4.1"]
    assert [row["Name"].text for row in page.rows("Provider keys, by name")] == ["Spare"]


def test_of_two_who_select_the_second_is_told(
    ada: Client, project: Project, main: ProviderKey, spare: ProviderKey, owner: User, at: datetime,
    way: dict[str, str],
) -> None:  # fmt: skip
    third = ProviderKeyFactory(project=project, name="Third")
    select_provider_key(project, "gpt-4.1", spare.public_id, actor=acting(owner, project), at=at, version=1)
    response = select(ada, third.public_id, way)
    assert response.status_code == 409
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.content.one(role="alert").text == f"Mara Lindqvist changed gpt-4.1 {Moment.of(at).text}."
    sides = page.one("dl", class_="sides")
    assert (sides.texts("dt"), sides.texts("dd")) == (["Provider key"], ["Yours: Third", "Now: Spare"])
    assert selected() == spare


def test_one_whose_key_was_deleted_meanwhile_is_told(
    ada: Client, project: Project, main: ProviderKey, spare: ProviderKey, owner: User, at: datetime,
    way: dict[str, str],
) -> None:  # fmt: skip
    delete_provider_key(project, main.public_id, actor=acting(owner, project), at=at)
    response = select(ada, spare.public_id, way)
    assert response.status_code == 409
    said = "Another provider key was selected for gpt-4.1 meanwhile."
    assert Page(response).content.one(role="alert").text == said
    assert selected() is None


@pytest.mark.parametrize("public_id", ["A" * 12, "\0", "x" * 5000, "<b>"])
def test_what_is_no_provider_key_here_is_refused(
    ada: Client, main: ProviderKey, way: dict[str, str], public_id: str
) -> None:
    response = select(ada, public_id, way)
    assert response.status_code == 422
    page = Page(response)
    assert page.heading == "Provider key of gpt-4.1"
    assert page.problems() == page.error_of("provider_key") == ["There is no such provider key here."]
    # What there is can be selected at once.
    assert page.one("select", id="id_provider_key").texts("option") == ["None", "Main OpenAI"]
    assert selected() == main


def test_a_provider_key_of_another_project_is_refused(
    ada: Client, main: ProviderKey, way: dict[str, str]
) -> None:
    response = select(ada, ProviderKeyFactory().public_id, way)
    assert response.status_code == 422
    assert Page(response).problems() == ["There is no such provider key here."]
    assert selected() == main


@pytest.mark.parametrize("version", ["", "x", "9" * 40])
def test_without_its_number_it_is_refused(
    ada: Client, main: ProviderKey, spare: ProviderKey, way: dict[str, str], version: str
) -> None:
    assert select(ada, spare.public_id, way, version=version).status_code in (409, 422)
    assert selected() == main


def test_an_upstream_of_another_project_is_not_there(ada: Client, way: dict[str, str]) -> None:
    UpstreamFactory(slug="theirs")
    url = url_of("upstream_select", "theirs")
    assert ada.post(url, {"provider_key": "", "version": "1"}, headers=way).status_code == 404


@pytest.mark.parametrize("who", ["viewer", "operator"])
def test_who_is_no_admin_may_not(
    request: pytest.FixtureRequest, main: ProviderKey, who: str, way: dict[str, str]
) -> None:
    assert select(signed_in(request.getfixturevalue(who)), "", way).status_code == 403
    assert selected() == main


def test_it_is_not_taken_from_another_site(admin: User, main: ProviderKey, way: dict[str, str]) -> None:
    assert select(signed_in(admin, enforce_csrf_checks=True), "", way).status_code == 403
    assert selected() == main


@pytest.mark.parametrize("method", ["put", "delete"])
def test_it_is_asked_for_and_posted_only(ada: Client, method: str) -> None:
    assert getattr(ada, method)(url_of("upstream_select", "gpt-4.1")).status_code == 405


def test_its_own_page_shows_what_is_selected(ada: Client, main: ProviderKey, way: dict[str, str]) -> None:
    page = Page(ada.get(url_of("upstream_select", "gpt-4.1"), headers=way))
    assert page.is_whole is not bool(way)
    assert page.heading == "Provider key of gpt-4.1"
    form = page.form_of("Save")
    assert form.action == form.node.attrs["hx-post"] == url_of("upstream_select", "gpt-4.1")
    assert (form.fields()["provider_key"], form.fields()["version"]) == ([main.public_id], ["1"])
    assert page.link("Cancel") == url_of("provider_key_list")


# Where the password is asked for: the row has no place for it, so a page comes in between


def test_the_row_leads_to_the_password_with_what_was_selected(
    admin: User, main: ProviderKey, spare: ProviderKey, way: dict[str, str]
) -> None:
    client = let_half_an_hour_pass(signed_in(admin))
    response = select(client, spare.public_id, way)
    assert response.status_code == 200
    page = Page(response)
    assert page.is_whole is not bool(way)
    # Nothing is wrong: the row couldn't ask.
    assert page.problems() == []
    assert "data-autofocus" in page.one("input", id="id_current_password").attrs
    fields = page.form_of("Save").fields()
    assert (fields["provider_key"], fields["version"]) == ([spare.public_id], ["1"])
    assert selected() == main
    response = select(client, spare.public_id, way, current_password="not this one")
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("current_password") == ["That password isn't right."]
    assert page.form_of("Save").fields()["provider_key"] == [spare.public_id]
    assert selected() == main


def test_without_javascript_the_row_s_button_saves_after_the_password(
    admin: User, spare: ProviderKey
) -> None:
    admin.set_password(PASSWORD)
    admin.save(update_fields=["password"])
    visitor = Visitor(admin)
    visitor.visit(url_of("provider_key_list"))
    visitor.press("Save gpt-4.1", provider_key=spare.public_id)
    page = visitor.press("Save", current_password=PASSWORD)
    assert page.messages() == ["gpt-4.1 uses Spare."]
    page = visitor.press("Save gpt-4.1", provider_key="")
    assert page.messages() == ["gpt-4.1 uses no provider key."]


def test_without_javascript_the_row_s_button_saves(admin: User, spare: ProviderKey) -> None:
    visitor = Visitor(admin)
    freshen(visitor.client)
    visitor.visit(url_of("provider_key_list"))
    page = visitor.press("Save gpt-4.1", provider_key=spare.public_id)
    assert page.messages() == ["gpt-4.1 uses Spare."]
    assert selected() == spare
