"""Rename a channel: its name and kind, its slug that stays, and what came in between."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys import channels
from keys.channels import close_channel, edit_channel
from projects.models import AuditEvent, Channel, Project, User
from tests.factories import ChannelFactory, acting
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/"}


@pytest.fixture
def mara(owner: User, support: Channel) -> Client:
    return signed_in(owner)


def send(client: Client, headers: dict[str, str] | None = None, **typed: str) -> Any:
    fields = {"name": "Help bot", "kind": "slack", "version": "1"} | typed
    return client.post(url_of("channel_edit", "support-bot"), fields, headers=headers or {})


def stored() -> Channel:
    return Channel.objects.get(slug="support-bot")


def test_it_shows_what_the_channel_is(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(url_of("channel_edit", "support-bot"), headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Rename Support bot"
    form = page.form_of("Save")
    assert form.action == url_of("channel_edit", "support-bot")
    fields = form.fields()
    assert (fields["name"], fields["kind"], fields["version"]) == (["Support bot"], ["teams"], ["1"])
    assert page.link("Cancel") == url_of("channel_list")
    assert page.texts("code") == ["support-bot"]


def test_it_renames_and_the_slug_stays(mara: Client, way: dict[str, str]) -> None:
    response = send(mara, way | (LIST if way else {}))
    channel = stored()
    assert (channel.name, channel.kind, channel.version) == ("Help bot", "slack", 2)
    page = Page(response) if way else Page(mara.get(response["Location"]))
    assert page.messages() == ["Help bot was saved."]
    if way:
        assert response["HX-Retarget"] == "#listing"
        focus = json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]
        assert focus == {"target": "#keys-of-support-bot"}
    else:
        assert response.status_code == 303
    event = AuditEvent.objects.get(verb="channel.edited")
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")


def test_where_its_row_went_to_another_page_the_heading_has_the_focus(mara: Client, project: Project) -> None:
    for number in range(60):
        ChannelFactory(project=project, slug=f"a-{number:02}", name=f"A {number:02}")
    response = send(mara, HTMX | LIST)
    focus = json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"]
    assert focus == {"target": "h1"}


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", "", "Enter a name."),
        ("name", "x" * 10_000, "Use 100 characters or fewer."),
        ("name", "website", "Another channel is called “Website”."),
        ("kind", "fax", "Choose a kind of channel."),
        ("version", "", "Open this form anew: it was sent without its number."),
        ("version", "one", "Open this form anew: its number was changed."),
        ("version", "1\0", "Open this form anew: its number was changed."),
        ("version", "9" * 10_000, "Open this form anew: its number was changed."),
    ],
)
def test_what_breaks_a_rule_is_said(
    mara: Client, project: Project, way: dict[str, str], field: str, typed: str, said: str
) -> None:
    ChannelFactory(project=project, slug="website", name="Website")
    response = send(mara, way, **{field: typed})
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == [said]
    assert page.form_of("Save").fields()["name"] == [typed if field == "name" else "Help bot"]
    if not way:
        assert page.title == "Error: Rename Support bot · Acme · Keyrack"
    assert stored().version == 1


def test_what_somebody_changed_meanwhile_is_shown_beside_what_was_typed(
    mara: Client, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    ada = acting(admin, project)
    edit_channel(project, "support-bot", name="Desk", kind="email", actor=ada, at=at, version=1)
    response = send(mara, way)
    assert response.status_code == 409
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.problems() == [
        "Ada Okafor changed this channel meanwhile. It is called “Desk” (E-mail) now."
        " Save again to put yours in its place."
    ]
    assert stored().name == "Desk"
    fields = page.form_of("Save").fields()
    assert (fields["name"], fields["kind"], fields["version"]) == (["Help bot"], ["slack"], ["2"])
    assert send(mara, way, version="2").status_code in (200, 303)
    assert (stored().name, stored().version) == ("Help bot", 3)


def test_a_version_of_the_future_is_stale_too(mara: Client, way: dict[str, str]) -> None:
    assert send(mara, way, version="999999999999999999999").status_code == 409
    assert stored().version == 1


def test_a_closed_channel_is_not_there_and_a_late_form_says_who_closed_it(
    mara: Client, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    close_channel(project, "support-bot", actor=acting(admin, project), at=at)
    assert mara.get(url_of("channel_edit", "support-bot"), headers=way).status_code == 404
    response = send(mara, way)
    assert response.status_code == 409
    page = Page(response)
    assert page.heading == "Nothing was changed"
    assert page.content.one(role="alert").text == "Ada Okafor already closed Support bot."
    assert page.link("Back to channels") == url_of("channel_list")
    assert stored().name == "Support bot"


def test_one_that_is_closed_while_the_form_is_on_its_way_is_left_alone(
    mara: Client, project: Project, admin: User, way: dict[str, str], at: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The view looked, and found it open; the verb looks again, behind its lock."""
    looked = channels.refuse_closed

    def look(channel: Channel) -> None:
        monkeypatch.setattr(channels, "refuse_closed", looked)
        close_channel(project, "support-bot", actor=acting(admin, project), at=at)

    monkeypatch.setattr(channels, "refuse_closed", look)
    response = send(mara, way)
    assert response.status_code == 409
    assert "already closed Support bot." in Page(response).content.one(role="alert").text


@pytest.mark.parametrize("who", ["operator", "viewer"])
def test_it_is_for_admins(
    request: pytest.FixtureRequest, support: Channel, way: dict[str, str], who: str
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert client.get(url_of("channel_edit", "support-bot"), headers=way).status_code == 403
    assert send(client, way).status_code == 403
    assert stored().version == 1


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(url_of("channel_edit", "support-bot")).status_code == 405


def test_without_javascript_it_goes_from_the_row_and_back(owner: User, support: Channel) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("channel_list"))
    visitor.follow("Rename Support bot")
    page = visitor.press("Save", name="Help bot")
    assert page.messages() == ["Help bot was saved."]
    visitor.follow("Rename Help bot")
    visitor.follow("Cancel")
    assert visitor.url == url_of("channel_list")
