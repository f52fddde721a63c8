"""Requiring a second factor: the setting, and how a member without one comes to set one up and in again."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.lifecycle import Issued
from projects import lifecycle
from projects.audit import Actor
from projects.models import Project, User
from projects.second_factor import has_second_factor
from tests.authenticator import App, enrol
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, freshen, signed_in, url_of

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
SET_UP = "/account/second-factor/"


@pytest.fixture
def here(project: Project) -> str:
    return url_of("second_factor_required")


@pytest.fixture
def mara(owner: User) -> Client:
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return signed_in(owner)


@pytest.fixture
def required(project: Project, owner: User, at: datetime) -> Project:
    return lifecycle.require_second_factor(project, True, actor=Actor.system(), at=at)


def now_on(project: Project) -> bool:
    return Project.objects.get(pk=project.pk).require_second_factor


def send(client: Client, url: str, headers: dict[str, str], **typed: str) -> Any:
    return client.post(url, typed, headers=headers)


# The setting


def test_it_says_what_it_means_and_how_many_have_none(
    mara: Client, here: str, owner: User, viewer: User, operator: User, way: dict[str, str]
) -> None:
    enrol(owner)
    response = mara.get(here, headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Require a second factor?"
    assert "2 of 3 members have none yet." in page.texts("p")
    form = page.form_of("Require it")
    assert form.action == form.node.attrs["hx-post"] == here
    assert form.fields()["on"] == ["1"]
    enrol(viewer)
    assert "1 of 3 members has none yet." in Page(mara.get(here, headers=way)).texts("p")
    enrol(operator)
    assert "All 3 members have one." in Page(mara.get(here, headers=way)).texts("p")


def test_an_owner_turns_it_on_with_password_or_code(
    mara: Client, here: str, owner: User, project: Project, way: dict[str, str]
) -> None:
    app = enrol(owner)
    assert Page(send(mara, here, way, on="1")).problems() == ["Enter your password."]
    assert not now_on(project)
    response = send(mara, here, way, on="1", current_code=app.code())
    assert response.status_code == (200 if way else 303)
    assert response["HX-Redirect" if way else "Location"] == url_of("key_list")
    assert now_on(project)
    assert Page(mara.get(url_of("key_list"))).messages() == ["Members need a second factor from now on."]


def test_an_owner_without_one_is_led_to_set_one_up_first(
    mara: Client, here: str, project: Project, way: dict[str, str]
) -> None:
    page = Page(mara.get(here, headers=way))
    assert "You are the only member, and have none yet." in page.texts("p")
    assert not page.find("button", "Require it")
    assert page.link("set one up") == f"{SET_UP}?next=%2Fprojects%2Facme%2Fsettings%2Fsecond-factor%2F"
    response = send(mara, here, way, on="1", current_password=PASSWORD)
    assert response.status_code == 422
    assert Page(response).problems() == ["Set up a second factor of your own first."]
    assert not now_on(project)


def test_it_is_turned_off_again(
    mara: Client, here: str, owner: User, required: Project, way: dict[str, str]
) -> None:
    enrol(owner)
    page = Page(mara.get(here, headers=way))
    assert page.heading == "Stop requiring a second factor?"
    assert page.form_of("Stop requiring it").fields()["on"] == ["0"]
    send(mara, here, way, on="0", current_password=PASSWORD)
    assert not now_on(required)


def test_a_stale_page_turns_nothing_the_other_way(
    mara: Client, here: str, owner: User, project: Project, way: dict[str, str]
) -> None:
    enrol(owner)
    for _ in range(2):
        send(mara, here, way, on="1", current_password=PASSWORD)
    assert now_on(project)


@pytest.mark.parametrize("on", ["", "2", "yes", "\x00"])
def test_what_is_neither_on_nor_off_is_refused(
    mara: Client, here: str, owner: User, project: Project, way: dict[str, str], on: str
) -> None:
    enrol(owner)
    response = send(freshen(mara), here, way, on=on)
    assert response.status_code == 422
    assert Page(response).problems()[0].startswith("Open this form anew")
    assert not now_on(project)


def test_only_an_owner_may(
    here: str, project: Project, admin: User, operator: User, viewer: User, way: dict[str, str]
) -> None:
    for person in (admin, operator, viewer):
        enrol(person)
        client = freshen(signed_in(person))
        assert client.get(here, headers=way).status_code == 403
        assert send(client, here, way, on="1").status_code == 403
    assert not now_on(project)


# While it is on


def test_a_member_without_one_is_led_to_set_one_up(viewer: User, required: Project) -> None:
    client = signed_in(viewer)
    response = client.get(url_of("key_list"), {"q": "bill"})
    assert response.status_code == 302
    assert response["Location"] == f"{SET_UP}?next=%2Fprojects%2Facme%2Fsettings%2Fkeys%2F%3Fq%3Dbill"
    page = Page(client.get(response["Location"]))
    assert page.content.one(class_="note").text == "Acme opens only to members with a second factor."


def test_a_fragment_leaves_for_that_page_and_comes_back_to_the_one_that_asked(
    viewer: User, required: Project
) -> None:
    shown = {"HX-Current-URL": "http://testserver/projects/acme/settings/keys/?type=viewer"}
    for method in ("get", "post"):
        response = getattr(signed_in(viewer), method)(url_of("key_create"), headers=HTMX | shown)
        assert response.status_code == 200
        assert response.content == b""
        assert response["HX-Redirect"] == f"{SET_UP}?next=%2Fprojects%2Facme%2Fsettings%2Fkeys%2F"


def test_what_was_posted_is_not_done(required: Project, operator: User, make: MakeKey) -> None:
    key = make().key
    response = signed_in(operator).post(url_of("key_revoke", key.key_id), {"reason": "x"})
    assert (response.status_code, response["Location"]) == (303, f"{SET_UP}?next=%2F")
    key.refresh_from_db()
    assert key.revoked_at is None


def test_a_pasted_key_does_not_enter_the_address_in_between(viewer: User, required: Project) -> None:
    token = "kr_live_" + "a1B2" * 14
    response = signed_in(viewer).get(url_of("key_list"), {"q": token})
    assert response["Location"] == f"{SET_UP}?next=%2F"


def test_without_javascript_a_member_sets_one_up_and_comes_to_where_they_wanted(
    viewer: User, required: Project
) -> None:
    viewer.set_password(PASSWORD)
    viewer.save(update_fields=["password"])
    visitor = Visitor(viewer)
    page = visitor.visit(url_of("key_list"))
    assert page.heading == "Second factor"
    page = visitor.press("Set up an app", current_password=PASSWORD)
    app = App(page.one("output", id="setup-key").text)
    visitor.press("Turn on", code=app.code())
    page = visitor.press("I've saved them")
    assert (visitor.url, page.heading) == (url_of("key_list"), "API keys")


def test_whoever_has_one_comes_in(viewer: User, required: Project, way: dict[str, str]) -> None:
    enrol(viewer)
    assert signed_in(viewer).get(url_of("key_list"), headers=way).status_code == 200


def test_whoever_turns_theirs_off_is_out_at_once(required: Project, owner: User) -> None:
    enrol(owner)
    client = freshen(signed_in(owner))
    client.post("/account/second-factor/off/")
    assert not has_second_factor(owner)
    assert client.get(url_of("key_list"))["Location"].startswith(SET_UP)


def test_an_outsider_sees_what_an_outsider_sees(
    outsider: User, required: Project, way: dict[str, str]
) -> None:
    assert signed_in(outsider).get(url_of("key_list"), headers=way).status_code == 404


def test_other_projects_open_as_before(viewer: User, required: Project, outsider: User) -> None:
    client = signed_in(outsider)
    assert client.get("/projects/elsewhere/settings/keys/").status_code == 200
    assert signed_in(viewer).get("/projects/").status_code == 200


def test_keys_are_not_concerned(make: MakeKey, required: Project, client: Client) -> None:
    issued: Issued = make()
    response = client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {issued.token}"})
    assert response.status_code == 200
