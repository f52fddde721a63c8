"""Close a channel: what stops with it, that it happens once, and what stands there afterwards."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys.channels import close_channel
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import AuditEvent, Channel, Project, User
from tests.factories import ChannelFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = {"HX-Current-URL": "http://testserver/projects/acme/settings/channels/"}


@pytest.fixture
def mara(owner: User, support: Channel) -> Client:
    return signed_in(owner)


def ask(client: Client, headers: dict[str, str] | None = None) -> Any:
    return client.get(url_of("channel_close", "support-bot"), headers=headers or {})


def close(client: Client, headers: dict[str, str] | None = None) -> Any:
    return client.post(url_of("channel_close", "support-bot"), {}, headers=headers or {})


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (0, "No key stops with it: the channel has none. This can't be undone."),
        (1, "1 key stops with it. Requests with that key fail from the moment you close it."
            " This can't be undone."),
        (3, "3 keys stop with it. Requests with them fail from the moment you close it."
            " This can't be undone."),
    ],
)  # fmt: skip
def test_it_says_how_many_keys_stop(
    mara: Client, hold: MakeKey, way: dict[str, str], keys: int, said: str
) -> None:
    for number in range(keys):
        hold(f"Bot {number}")
    response = ask(mara, way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Close Support bot?"
    assert said in page.texts("p")
    keep = page.one("a", "Keep channel")
    assert keep.attrs["href"] == url_of("channel_list")
    assert "data-autofocus" in keep.attrs
    assert page.form_of("Close channel").action == url_of("channel_close", "support-bot")


def test_it_counts_as_the_list_does(mara: Client, hold: MakeKey, at: datetime) -> None:
    hold("Expired", at=at - timedelta(days=9), expires_at=at - timedelta(days=1))
    gone, _ = hold("Revoked"), hold("Paused")
    Key.objects.filter(name="Paused").update(paused_at=at)
    mara.post(url_of("key_revoke", gone.key.key_id))
    assert "2 keys stop with it." in ask(mara).content.decode().replace("<b>", "").replace("</b>", "")
    assert Page(mara.get(url_of("channel_list"))).one(id="count-support-bot").text == "2"


def test_without_htmx_the_list_says_what_ended(mara: Client, hold: MakeKey, at: datetime) -> None:
    issued = [hold("One"), hold("Two")]
    response = close(mara)
    assert (response.status_code, response["Location"]) == (303, url_of("channel_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Support bot was closed, and 2 keys with it."]
    assert not page.find("table")
    later = at + timedelta(minutes=1)
    for each in issued:
        assert check(each.token, at=later, channel="support-bot").outcome is Outcome.REVOKED
    revoked = Page(mara.get(url_of("key_list"))).rows("Revoked API keys, last revoked first")
    assert {row["Reason"].text for row in revoked} == {"Channel closed"}
    event = AuditEvent.objects.get(verb="channel.closed")
    assert (event.actor_label, event.address, event.changes) == ("Mara Lindqvist", "127.0.0.1", {"keys": 2})


@pytest.mark.parametrize(("keys", "said"), [(0, "was closed."), (1, "was closed, and 1 key with it.")])
def test_the_message_counts(mara: Client, hold: MakeKey, keys: int, said: str) -> None:
    for number in range(keys):
        hold(f"Bot {number}")
    assert Page(close(mara, HTMX | LIST)).messages() == [f"Support bot {said}"]


def test_with_htmx_its_row_leaves_and_the_next_has_the_focus(mara: Client, project: Project) -> None:
    ChannelFactory(project=project, slug="website", name="Website")
    response = close(mara, HTMX | LIST)
    assert response.status_code == 200
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    focus = {"target": "#keys-of-website"}
    assert json.loads(response["HX-Trigger-After-Settle"]) == {"keyrack:close": {}, "keyrack:focus": focus}
    page = Page(response)
    assert [row["Name"].one("bdi").text for row in page.rows("Channels, by name")] == ["Website"]


def test_with_htmx_the_heading_has_the_focus_after_the_last_row(mara: Client) -> None:
    response = close(mara, HTMX | LIST)
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "h1"}
    assert "No channels yet" in Page(response).texts("h2")


def test_a_get_closes_nothing(mara: Client, way: dict[str, str]) -> None:
    ask(mara, way)
    assert Channel.objects.get().closed_at is None


def test_a_second_time_says_who_did_it_first(
    mara: Client, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    close_channel(project, "support-bot", actor=acting(admin, project), at=at)
    for response in (ask(mara, way), close(mara, way)):
        assert response.status_code == 409
        page = Page(response)
        assert page.is_whole is not bool(way)
        assert page.content.one(role="alert").text == "Ada Okafor already closed Support bot."
        assert page.link("Back to channels") == url_of("channel_list")
        assert not page.find("button", "Close channel")
    assert AuditEvent.objects.filter(verb="channel.closed").count() == 1


def test_a_double_click_closes_once(mara: Client, way: dict[str, str]) -> None:
    assert close(mara, way).status_code in (200, 303)
    assert close(mara, way).status_code == 409
    assert AuditEvent.objects.filter(verb="channel.closed").count() == 1


def test_its_name_is_free_again_and_its_slug_is_not(mara: Client) -> None:
    close(mara)
    mara.post(url_of("channel_create"), {"name": "Support bot", "kind": "slack"})
    assert Channel.objects.get(closed_at=None).slug == "support-bot-2"


@pytest.mark.parametrize("who", ["operator", "viewer"])
def test_it_is_for_admins(
    request: pytest.FixtureRequest, support: Channel, way: dict[str, str], who: str
) -> None:
    client = signed_in(request.getfixturevalue(who))
    assert ask(client, way).status_code == close(client, way).status_code == 403
    assert Channel.objects.get().closed_at is None


def test_it_is_not_taken_from_another_site(owner: User, support: Channel, way: dict[str, str]) -> None:
    assert close(signed_in(owner, enforce_csrf_checks=True), way).status_code == 403
    assert Channel.objects.get().closed_at is None


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(url_of("channel_close", "support-bot")).status_code == 405
    assert Channel.objects.get().closed_at is None


def test_without_javascript_it_can_be_kept_and_closed(owner: User, support: Channel, hold: MakeKey) -> None:
    hold()
    visitor = Visitor(owner)
    visitor.visit(url_of("channel_list"))
    visitor.follow("Close Support bot")
    visitor.follow("Keep channel")
    assert visitor.url == url_of("channel_list")
    visitor.follow("Close Support bot")
    page = visitor.press("Close channel")
    assert page.messages() == ["Support bot was closed, and 1 key with it."]
