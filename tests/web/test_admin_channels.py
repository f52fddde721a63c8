"""Channels in the administration: found, read, made, renamed, closed."""

from datetime import datetime, timedelta

import pytest
from django.test import Client

from keys import lifecycle, tokens
from keys.channels import edit_channel
from keys.models import Key
from keys.verification import Outcome, check
from projects.audit import Actor
from projects.models import AuditEvent, Channel, Project, User
from tests.factories import ChannelFactory, MembershipFactory, UserFactory
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, path_and_query, signed_in

pytestmark = pytest.mark.django_db

CHANNELS = "/admin/projects/channel/"
PAGE = f"{CHANNELS}acme.support-bot/change/"


@pytest.fixture
def ines(db: None) -> User:
    """Somebody of staff, and a member of nothing."""
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


@pytest.fixture
def staff(ines: User) -> Client:
    return signed_in(ines)


def listed(client: Client, query: str = "") -> list[str]:
    page = Page(client.get(f"{CHANNELS}{query}"))
    return [row["Name"].text for row in page.rows("Channels")] if page.find("tbody") else []


def facts(page: Page) -> dict[str, str]:
    return {row.one("dt").text: row.one("dd").text for row in page.one("dl").find("div")}


# To find and to read


def test_it_lists_the_channels_of_every_project_newest_first(staff: Client, support: Channel) -> None:
    ChannelFactory(slug="website", name="Website", kind="web-widget")
    row = Page(staff.get(CHANNELS)).rows("Channels")[1]
    assert (row["Name"].text, row["Slug"].text, row["Kind"].text) == ("Support bot", "support-bot", "Teams")
    assert (row["State"].text, row["Project"].text) == ("Open", "Acme")
    assert listed(staff) == ["Website", "Support bot"]


def test_it_is_filtered_and_searched(staff: Client, project: Project, support: Channel, at: datetime) -> None:
    ChannelFactory(project=project, slug="old-bot", name="Old bot", kind="slack", closed_at=at)
    ChannelFactory(slug="support-bot", name="Elsewhere")
    for query, names in (
        ("project=acme", ["Old bot", "Support bot"]),
        ("kind=slack", ["Old bot"]),
        ("state=closed", ["Old bot"]),
        ("state=open", ["Elsewhere", "Support bot"]),
        ("q=SUPPORT", ["Elsewhere", "Support bot"]),
        ("q=old+bot", ["Old bot"]),
        ("project=nothing", []),
        ("kind=fax", []),
        ("state=x", []),
    ):
        assert listed(staff, f"?{query}") == names, query


def test_a_token_in_the_search_goes_no_further(staff: Client, support: Channel) -> None:
    token = tokens.generate("live").text
    response = staff.post(f"{CHANNELS}search/", {"q": token})
    assert response["Location"] == CHANNELS
    assert staff.get(CHANNELS, {"q": token})["Location"] == CHANNELS


def test_its_page_says_what_it_is_and_leads_to_its_keys_and_events(
    ines: User, staff: Client, support: Channel, hold: MakeKey, make: MakeKey
) -> None:
    hold("One")
    hold("Two")
    make("Docs crawler")
    page = Page(staff.get(PAGE))
    assert page.heading == "Support bot in Acme"
    told = facts(page)
    assert (told["Slug"], told["Kind"], told["Keys"], told["Created by"]) == (
        "support-bot", "Teams", "2", "system",
    )  # fmt: skip
    assert "Closed" not in told
    keys = Page(staff.get(page.content.one("a", "Keys").attrs["href"]))
    assert [row["Name"].text for row in keys.rows("Keys")] == ["Two", "One"]
    assert "Channel: Support bot" in keys.content.text
    events = path_and_query(page.link("All events"))[1]
    assert events == {"project": "acme", "object": "channel%3Asupport-bot"}
    assert not page.find("a", "Open in the console")
    MembershipFactory(project=support.project, user=ines)
    console = Page(staff.get(PAGE)).link("Open in the console")
    assert staff.get(console).status_code == 200


def test_a_key_s_page_says_its_channel_and_holder(
    staff: Client, support: Channel, hold: MakeKey, make: MakeKey, at: datetime
) -> None:
    held, free = hold("Bot for Nora", "Nora Ek").key, make().key
    page = Page(staff.get(f"/admin/keys/key/{held.key_id}/change/"))
    assert (facts(page)["Channel"], facts(page)["Held by"]) == ("Support bot", "Nora Ek")
    assert page.link("Support bot") == PAGE
    Channel.objects.update(closed_at=at)
    page = Page(staff.get(f"/admin/keys/key/{held.key_id}/change/"))
    assert facts(page)["Channel"] == "Support bot closed"
    other = facts(Page(staff.get(f"/admin/keys/key/{free.key_id}/change/")))
    assert not {"Channel", "Held by"} & other.keys()


@pytest.mark.parametrize("value", ["nothing", "acme.nothing", "acme.", ".", "elsewhere.support-bot"])
def test_the_keys_of_a_channel_that_is_not_there_are_none(
    staff: Client, support: Channel, hold: MakeKey, value: str
) -> None:
    hold()
    page = Page(staff.get(f"/admin/keys/key/?channel={value}"))
    assert not page.find("tbody")
    assert "nothing here" in page.content.text


def test_the_rail_the_overview_and_the_project_lead_there(staff: Client, support: Channel) -> None:
    page = Page(staff.get("/admin/"))
    rail = page.one("nav", aria_label="Administration")
    assert rail.one("a", "Channels").attrs["href"] == CHANNELS
    assert page.one("ul", class_="doors").find("a", href=CHANNELS)
    project = Page(staff.get("/admin/projects/project/acme/change/"))
    assert project.content.one("a", "Channels").attrs["href"] == f"{CHANNELS}?project=acme"
    rail = Page(staff.get(PAGE)).one("nav", aria_label="Administration")
    assert rail.one("a", aria_current="page").text == "Channels"


# The verbs


def test_it_is_made_renamed_and_closed(ines: User, project: Project, hold: MakeKey, at: datetime) -> None:
    visitor = Visitor(ines)
    visitor.visit(CHANNELS)
    visitor.follow("Add channel")
    page = visitor.press("Add channel", project="nothing", name="Support bot", kind="slack")
    assert page.problems() == ["No project has this address."]
    page = visitor.press("Add channel", project="acme", name="")
    assert page.problems() == ["Enter a name."]
    page = visitor.press("Add channel", name="Support bot")
    assert page.messages() == ["Support bot was created."]
    assert visitor.url == PAGE
    issued = hold()
    visitor.follow("Rename")
    assert visitor.page.form_of("Save").fields()["name"] == ["Support bot"]
    page = visitor.press("Save", name="Help bot", kind="teams")
    assert page.messages() == ["Help bot was saved."]
    assert (page.heading, facts(page)["Kind"]) == ("Help bot in Acme", "Teams")
    visitor.follow("Close")
    assert "1 key stops with it." in visitor.page.texts("p")
    page = visitor.press("Close channel")
    assert page.messages() == ["Help bot was closed."]
    assert (facts(page)["State"], facts(page)["Keys"]) == ("Closed", "0")
    assert not page.find("a", "Rename")
    assert not page.content.find("a", "Close")
    later = at + timedelta(minutes=1)
    assert check(issued.token, at=later, channel="support-bot").outcome is Outcome.REVOKED
    events = AuditEvent.objects.filter(object_kind="channel").order_by("number")
    assert [(event.verb, event.actor_label) for event in events] == [
        ("channel.created", "Ines Varga"), ("channel.edited", "Ines Varga"), ("channel.closed", "Ines Varga"),
    ]  # fmt: skip


def test_a_hidden_number_stands_in_the_form_without_a_label(staff: Client, support: Channel) -> None:
    page = Page(staff.get(f"{CHANNELS}acme.support-bot/rename/"))
    assert page.one("input", name=None, id="id_version").attrs["value"] == "1"
    assert page.content.texts("label") == ["Channel name", "Kind"]


def test_what_somebody_changed_meanwhile_is_not_overwritten(
    staff: Client, support: Channel, at: datetime
) -> None:
    ada = Actor.system("Ada Okafor")
    edit_channel(support.project, "support-bot", name="Desk", kind="slack", actor=ada, at=at, version=1)
    fields = {"name": "Help bot", "kind": "teams", "version": "1"}
    response = staff.post(f"{CHANNELS}acme.support-bot/rename/", fields)
    assert response.status_code == 409
    said = Page(response).content.one(role="alert").text
    assert said == "Ada Okafor changed this channel meanwhile. It is called “Desk” (Slack) now."
    assert Channel.objects.get().name == "Desk"


@pytest.mark.parametrize("verb", ["rename", "close"])
def test_a_closed_channel_says_by_whom(staff: Client, support: Channel, verb: str) -> None:
    staff.post(f"{CHANNELS}acme.support-bot/close/")
    fields = {"name": "Help bot", "kind": "teams", "version": "2"}
    for response in (
        staff.get(f"{CHANNELS}acme.support-bot/{verb}/"),
        staff.post(f"{CHANNELS}acme.support-bot/{verb}/", fields),
    ):
        assert response.status_code == 409
        assert "Ines Varga already closed Support bot." in Page(response).content.text
    assert AuditEvent.objects.filter(object_kind="channel").count() == 1


def test_nothing_happens_by_looking(staff: Client, support: Channel) -> None:
    for verb in ("rename", "close"):
        assert staff.get(f"{CHANNELS}acme.support-bot/{verb}/").status_code == 200
    assert (Channel.objects.get().version, Channel.objects.get().closed_at) == (1, None)


def test_a_token_for_a_name_is_refused_and_not_repeated(staff: Client, support: Channel) -> None:
    token = tokens.generate("live").text
    for url, fields in (
        (f"{CHANNELS}add/", {"project": "acme", "name": token, "kind": "teams"}),
        (f"{CHANNELS}add/", {"project": token, "name": "x", "kind": "teams"}),
        (f"{CHANNELS}acme.support-bot/rename/", {"name": token, "kind": "teams", "version": "1"}),
    ):
        response = staff.post(url, fields)
        assert response.status_code == 422
        assert token[20:39] not in response.content.decode()
    assert Channel.objects.count() == 1


def test_the_channels_of_a_deleted_project_are_read_only(
    staff: Client, support: Channel, hold: MakeKey, at: datetime
) -> None:
    key = hold().key
    Project.objects.update(deleted_at=at)
    page = Page(staff.get(PAGE))
    assert not page.find("a", "Rename")
    assert not page.content.find("a", "Close")
    response = staff.post(f"{CHANNELS}acme.support-bot/close/")
    assert response.status_code == 422
    assert Page(response).problems() == ["This project was deleted."]
    assert Key.objects.get(pk=key.pk).revoked_at is None


def test_a_revoked_key_leaves_the_count(staff: Client, support: Channel, hold: MakeKey, at: datetime) -> None:
    key = hold().key
    lifecycle.revoke(support.project, key.key_id, actor=Actor.system(), at=at)
    assert facts(Page(staff.get(PAGE)))["Keys"] == "0"
