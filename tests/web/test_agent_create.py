"""Create agent key: a name, an end that is no choice, scopes that are ticked already."""

import json
import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys.kinds import KeyType
from keys.models import Key
from keys.verification import check
from projects.models import AuditEvent, Project, User
from projects.moments import Moment
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

HERE = "/projects/acme/settings/keys/agents/new/"
LIST = "http://testserver/projects/acme/settings/keys/"
AGENTS = f"{LIST}agents/"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
DEFAULT = ["agents:run", "chat:send", "providers:use"]
LOOKS_LIKE_A_KEY = "That looks like an API key. Keys don't belong here: nobody should be able to read it."

Typed = str | Sequence[str]


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def filled(**typed: Typed) -> dict[str, Typed]:
    return {"nonce": uuid.uuid4().hex, "name": "Release agent", "scopes": DEFAULT} | typed


def create(client: Client, headers: dict[str, str] | None = None, **typed: Typed) -> Any:
    return client.post(HERE, filled(**typed), headers=headers or {})


def agents() -> list[Key]:
    return list(Key.objects.filter(type=KeyType.AGENT).order_by("pk"))


def ticked(page: Page) -> list[str]:
    return [box.attrs["value"] for box in page.find("input", type="checkbox") if "checked" in box.attrs]


# The form


def test_the_form_is_a_page_and_a_fragment_of_it(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(HERE, headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Create agent key"
    form = page.form_of("Generate")
    assert form.action == form.node.attrs["hx-post"] == HERE
    assert form.node.attrs["hx-target"] == "#dialog"
    assert page.link("Cancel") == url_of("agent_list")
    if not way:
        assert page.title == "Create agent key · Acme · Keyrack"


def test_it_asks_for_a_name_and_says_the_end(mara: Client, at: datetime) -> None:
    page = Page(mara.get(HERE))
    labels = [label.text for label in page.content.find("label") if not label.find("input")]
    assert labels == ["Key name"]
    day = Moment.of(at + timedelta(days=90)).day
    assert f"Expires {day}. An agent key lives 90 days and can't be extended." in page.texts("p")
    assert set(page.form_of("Generate").fields()) == {"csrfmiddlewaretoken", "nonce", "name", "scopes"}


def test_the_scopes_are_folded_with_the_usual_ones_ticked(mara: Client) -> None:
    page = Page(mara.get(HERE))
    fold = page.one("details", class_="fold")
    assert "open" not in fold.attrs
    assert fold.one("summary").text == "Scopes The usual ones are ticked."
    assert sorted(ticked(page)) == DEFAULT
    assert len(fold.find("input", type="checkbox")) == 18
    assert fold.one("legend").text == "Scopes"


def test_an_operator_is_not_offered_what_they_may_not_grant(operator: User) -> None:
    page = Page(signed_in(operator).get(HERE))
    resources = {box.attrs["value"].partition(":")[0] for box in page.find("input", name_="scopes")}
    assert resources == {"sources", "agents", "workflows", "chat", "providers"}
    assert sorted(ticked(page)) == DEFAULT


def test_of_the_usual_scopes_those_are_ticked_that_the_project_knows(
    mara: Client, project: Project, way: dict[str, str]
) -> None:
    project.resources.filter(name__in=["providers", "chat"]).delete()
    page = Page(mara.get(HERE, headers=way))
    assert ticked(page) == ["agents:run"]
    assert "open" not in page.one("details", class_="fold").attrs


def test_where_none_is_ticked_the_scopes_are_unfolded(
    mara: Client, project: Project, way: dict[str, str]
) -> None:
    project.resources.exclude(name="sources").delete()
    fold = Page(mara.get(HERE, headers=way)).one("details", class_="fold")
    assert "open" in fold.attrs
    assert fold.one("summary").text == "Scopes"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(HERE).status_code == 405


def test_the_main_dialog_leads_there(mara: Client, operator: User, way: dict[str, str]) -> None:
    for client in (mara, signed_in(operator)):
        page = Page(client.get(url_of("key_create"), headers=way))
        (card,) = page.find("a", class_="choice")
        assert card.one("b").text == "Agent key"
        assert card.one(class_="hint").text == "For an AI agent. Ends 90 days after it's created."
        assert card.attrs["href"] == card.attrs["hx-get"] == HERE
        assert card.attrs["hx-target"] == "#dialog"
        # After the types, and none of them: it would be sent along.
        assert page.one("fieldset", id="id_type").find("label")[-1].find("b")[0].text == "Restricted key"
        assert "agent" not in [radio.attrs["value"] for radio in page.find("input", type="radio")]


# The secret


def test_it_shows_the_secret_once(mara: Client, way: dict[str, str], at: datetime) -> None:
    response = create(mara, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Copy your key now"
    assert page.one("span", class_="tag").text == "Agent"
    secret = page.one("output", id="secret").text
    assert re.fullmatch(r"kr_live_[0-9A-Za-z]{56}", secret)
    assert page.source.count(secret) == 2
    assert check(secret, at=at, project="acme", scopes=DEFAULT).is_valid


def test_it_makes_the_key_that_was_asked_for(
    mara: Client, owner: User, way: dict[str, str], at: datetime
) -> None:
    create(mara, way, name="  Release\u00a0 agent ")
    (key,) = agents()
    assert (key.name, key.environment, key.note) == ("Release agent", "live", "")
    assert key.scopes.split() == DEFAULT
    assert key.expires_at - key.created_at == timedelta(days=90)
    assert abs(key.created_at - at) < timedelta(minutes=1)
    assert (key.created_by, key.confirmed_at) == (owner, None)
    assert AuditEvent.objects.get(verb="key.issued", object_id=key.key_id).address == "127.0.0.1"


def test_other_scopes_can_be_ticked(mara: Client, way: dict[str, str]) -> None:
    create(mara, way, scopes=["sources:read", "agents:run"])
    assert agents()[0].scopes == "agents:run sources:read"


def test_what_it_does_not_ask_for_changes_nothing(mara: Client, way: dict[str, str]) -> None:
    create(mara, way, lifetime="never", expires_at="", type="privileged", environment="test", note="x")
    (key,) = agents()
    assert (key.environment, key.note) == ("live", "")
    assert key.expires_at - key.created_at == timedelta(days=90)


def test_with_htmx_stored_over_the_other_tab_leads_to_the_tab_of_agent_keys(mara: Client) -> None:
    page = Page(create(mara, HTMX))
    store = page.form_of("I've stored it")
    response = mara.post(store.action, store.fields(), headers=HTMX | {"HX-Current-URL": f"{LIST}?q=docs"})
    assert response["HX-Redirect"] == url_of("agent_list")
    assert Page(mara.get(url_of("agent_list"))).messages() == ["Release agent is ready to use."]


def test_with_htmx_stored_over_its_own_tab_the_row_is_there_with_the_focus(mara: Client) -> None:
    page = Page(create(mara, HTMX))
    (key,) = agents()
    store = page.form_of("I've stored it")
    response = mara.post(store.action, store.fields(), headers=HTMX | {"HX-Current-URL": AGENTS})
    events = json.loads(response["HX-Trigger-After-Settle"])
    assert events == {"keyrack:close": {}, "keyrack:focus": {"target": f"#key-{key.key_id}"}}
    assert Page(response).find(id=f"key-{key.key_id}")


def test_the_focus_goes_to_the_heading_where_the_row_is_not_on_the_page(mara: Client) -> None:
    page = Page(create(mara, HTMX))
    store = page.form_of("I've stored it")
    headers = HTMX | {"HX-Current-URL": f"{AGENTS}?q=zzz"}
    response = mara.post(store.action, store.fields(), headers=headers)
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "h1"}


# What it refuses


REFUSED: dict[str, tuple[dict[str, Typed], str, str]] = {
    "no name": ({"name": ""}, "name", "Enter a name."),
    "blank name": ({"name": " \u00a0 "}, "name", "Enter a name."),
    "taken name": ({"name": "nightly EXPORT"}, "name", "Another key is called “Nightly export”."),
    "long name": ({"name": "ten chars " * 10 + "x"}, "name", "Use 100 characters or fewer."),
    "zero width": (
        {"name": "a\u200bb"}, "name", "Use letters, digits, blanks and punctuation that can be seen.",
    ),
    "key as name": ({"name": f"Agent {TOKEN}"}, "name", LOOKS_LIKE_A_KEY),
    "no scope": ({"scopes": []}, "scopes", "Pick at least one scope."),
    "unknown scope": ({"scopes": ["sources:paint"]}, "scopes", "Pick scopes that are in the table."),
    "everything": ({"scopes": ["*"]}, "scopes", "Pick scopes that are in the table."),
    "key as scope": ({"scopes": [TOKEN]}, "scopes", "Pick scopes that are in the table."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_with_words_of_its_own(
    mara: Client, make: MakeKey, way: dict[str, str], case: str
) -> None:
    make("Nightly export")
    typed, field, words = REFUSED[case]
    response = create(mara, way, **typed)
    assert response.status_code == 422
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    if not way:
        assert page.title == "Error: Create agent key · Acme · Keyrack"
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    assert page.one(id="errors").one("a", words).attrs["href"] == f"#id_{field}"
    assert page.one(id=f"id_{field}")
    # The message must be seen, and the link must lead to something that is.
    assert ("open" in page.one("details", class_="fold").attrs) is (field == "scopes")
    assert not agents()
    assert TOKEN[20:39] not in page.source


def test_a_refused_form_keeps_what_was_typed_and_ticked(mara: Client, way: dict[str, str]) -> None:
    sent = filled(name="", scopes=["sources:read"])
    kept = Page(mara.post(HERE, sent, headers=way)).form_of("Generate").fields()
    assert (kept["nonce"], kept["scopes"]) == ([sent["nonce"]], ["sources:read"])
    response = mara.post(HERE, kept | {"name": ["Mended"]}, headers=way)
    assert Page(response).heading == "Copy your key now"
    assert [key.scopes for key in agents()] == ["sources:read"]


@pytest.mark.parametrize("nonce", ["", "x", "0" * 31, TOKEN])
def test_it_is_not_taken_without_its_number(mara: Client, way: dict[str, str], nonce: str) -> None:
    response = create(mara, way, nonce=nonce)
    assert response.status_code == 422
    assert Page(response).problems()[0].startswith("Open this form anew")
    assert not agents()


def test_a_second_submit_makes_no_second_key(mara: Client, way: dict[str, str]) -> None:
    fields = filled()
    token = Page(mara.post(HERE, fields, headers=way)).one("output", id="secret").text
    (key,) = agents()
    response = mara.post(HERE, fields | {"name": "Another"}, headers=way)
    assert response.status_code == 409
    page = Page(response)
    said = page.content.one(role="alert").text
    assert said == "This key was already created. Its secret can't be shown again."
    assert page.link("Release agent") == url_of("key_detail", key.key_id)
    assert page.link("Back to Agent keys") == url_of("agent_list")
    assert token[20:39] not in page.source
    assert agents() == [key]


# Who may


def test_a_viewer_is_told_that_they_may_not(viewer: User, way: dict[str, str]) -> None:
    client = signed_in(viewer)
    for response in (client.get(HERE, headers=way), client.post(HERE, filled(), headers=way)):
        assert response.status_code == 403
        assert "You can't do that in Acme." in Page(response).texts("p")
    assert not agents()


@pytest.mark.parametrize("scope", ["keys:read", "keys:write", "settings:write", "gateway:use"])
def test_an_operator_gets_no_more_by_a_forged_form(operator: User, way: dict[str, str], scope: str) -> None:
    response = create(signed_in(operator), way, scopes=["agents:run", scope])
    assert response.status_code == 422
    assert Page(response).problems() == ["Pick scopes that are in the table."]
    assert not agents()


def test_an_operator_issues_one_and_an_admin_a_wider_one(
    operator: User, admin: User, way: dict[str, str]
) -> None:
    assert create(signed_in(operator), way).status_code == 200
    assert create(signed_in(admin), way, name="Wide", scopes=["keys:write"]).status_code == 200
    assert [key.scopes for key in agents()] == [" ".join(DEFAULT), "keys:write"]


def test_a_form_from_elsewhere_makes_nothing(owner: User, way: dict[str, str]) -> None:
    strict = signed_in(owner, enforce_csrf_checks=True)
    assert strict.post(HERE, filled(), headers=way).status_code == 403
    assert not agents()


# Without JavaScript


def test_without_javascript_a_key_is_made_from_both_places(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("agent_list"))
    visitor.follow("Create API key")
    page = visitor.press("Generate", name="")
    assert page.error_of("name") == ["Enter a name."]
    visitor.press("Generate", name="Release agent")
    page = visitor.press("I've stored it")
    assert visitor.url == url_of("agent_list")
    assert page.messages() == ["Release agent is ready to use."]
    visitor.visit(url_of("key_list"))
    page = visitor.follow("Create API key")
    visitor.visit(page.one("a", class_="choice").attrs["href"])
    visitor.press("Generate", name="Night watch")
    page = visitor.press("I've stored it")
    assert visitor.url == url_of("agent_list")
    assert [row["Name"].find("a")[0].text for row in page.rows("Agent keys, newest first")] == [
        "Night watch", "Release agent",
    ]  # fmt: skip
