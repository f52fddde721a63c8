"""Edit: what a key is called and the note on it; and what whoever comes late is shown."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.drafts import Edit
from keys.kinds import KeyType
from keys.models import Key
from keys.verification import check
from projects.models import AuditEvent, Project, User
from tests.factories import ChannelFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, Visitor, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/keys/"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
LOOKS_LIKE_A_KEY = "That looks like an API key. Keys don't belong here: nobody should be able to read it."


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def agent(make: MakeKey) -> Key:
    return make("Release agent", type=KeyType.AGENT, note="Ships it").key


def edit(client: Client, key: Key, headers: dict[str, str] | None = None, **typed: str) -> Any:
    sent: dict[str, Any] = {"version": str(key.version), "name": key.name, "note": key.note}
    sent |= {"scopes": key.scopes.split(), "lifetime": "keep", "networks": "", "rate_count": ""} | typed
    return client.post(url_of("key_edit", key.key_id), sent, headers=headers or {})


def now(key: Key) -> Key:
    return Key.objects.get(pk=key.pk)


def changed(project: Project, by: User, key: Key, at: datetime, **changes: Any) -> Key:
    return lifecycle.edit(
        project, key.key_id, Edit(**changes), actor=acting(by, project), at=at, version=key.version
    )


# The form


def test_the_form_is_a_page_and_a_fragment_of_it(mara: Client, agent: Key, way: dict[str, str]) -> None:
    url = url_of("key_edit", agent.key_id)
    response = mara.get(url, headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Edit Release agent"
    assert "The key itself doesn't change." in page.content.text
    form = page.form_of("Save")
    assert form.action == form.node.attrs["hx-post"] == url
    assert form.node.attrs["hx-target"] == "#dialog"
    fields = form.fields()
    assert (fields["name"], fields["note"], fields["version"]) == (["Release agent"], ["Ships it"], ["1"])
    assert page.link("Cancel") == url_of("agent_list")
    if not way:
        assert page.title == "Edit Release agent · Acme · Keyrack"


def test_a_project_key_leads_back_to_project_keys(mara: Client, make: MakeKey) -> None:
    page = Page(mara.get(url_of("key_edit", make().key.key_id)))
    assert page.link("Cancel") == url_of("key_list")
    assert page.one("span", class_="tag").text == "Restricted"


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, agent: Key, method: str) -> None:
    assert getattr(mara, method)(url_of("key_edit", agent.key_id)).status_code == 405


# Saving


@pytest.mark.parametrize("kind", [kind for kind in KeyType if kind is not KeyType.SYSTEM])
def test_a_key_of_each_type_is_renamed_and_its_note_changed(
    mara: Client, make: MakeKey, project: Project, kind: KeyType, way: dict[str, str], at: datetime
) -> None:
    held = {"channel": ChannelFactory(project=project).slug, "holder": "Ward 3"}
    issued = make("Old name", type=kind, **(held if kind is KeyType.CHANNEL else {}))
    response = edit(mara, issued.key, way, name=" New \u00a0 name ", note="A line\r\nand another")
    assert response.status_code == (200 if way else 303)
    key = now(issued.key)
    assert (key.name, key.note, key.version) == ("New name", "A line\nand another", 2)
    assert (key.scopes, key.expires_at, key.secret_hash) == (
        issued.key.scopes, issued.key.expires_at, issued.key.secret_hash,
    )  # fmt: skip
    assert check(issued.token, at=at, channel=None).is_valid
    event = AuditEvent.objects.get(verb="key.edited", object_id=key.key_id)
    assert event.changes == {"name": ["Old name", "New name"], "note": ["", "A line\nand another"]}
    assert (event.actor_label, event.address) == ("Mara Lindqvist", "127.0.0.1")


def test_without_htmx_the_tab_comes_back_with_a_message(mara: Client, agent: Key) -> None:
    response = edit(mara, agent, name="Shipping agent")
    assert (response.status_code, response["Location"]) == (303, url_of("agent_list"))
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Shipping agent was saved."]
    assert page.find("a", "Shipping agent")


def test_with_htmx_the_dialog_closes_over_the_table_with_the_focus_on_the_row(
    mara: Client, agent: Key
) -> None:
    response = edit(mara, agent, HTMX | {"HX-Current-URL": f"{LIST}agents/?sort=name"}, name="Shipping agent")
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    assert json.loads(response["HX-Trigger-After-Settle"]) == {
        "keyrack:close": {},
        "keyrack:focus": {"target": f"#key-{agent.key_id}"},
    }
    page = Page(response)
    assert page.messages() == ["Shipping agent was saved."]
    assert page.texts("caption")[0] == "Agent keys, by name, A to Z"
    assert page.one(id=f"key-{agent.key_id}").text == "Shipping agent"


def test_a_row_that_the_search_leaves_out_by_its_new_name_takes_no_focus(mara: Client, agent: Key) -> None:
    response = edit(mara, agent, HTMX | {"HX-Current-URL": f"{LIST}agents/?q=release"}, name="Shipping agent")
    assert json.loads(response["HX-Trigger-After-Settle"])["keyrack:focus"] == {"target": "h1"}
    assert not Page(response).find(id=f"key-{agent.key_id}")


def test_with_htmx_on_the_keys_own_page_the_tab_is_gone_to(mara: Client, agent: Key) -> None:
    response = edit(mara, agent, HTMX | {"HX-Current-URL": f"{LIST}{agent.key_id}/"}, note="x")
    assert response["HX-Redirect"] == url_of("agent_list")
    assert Page(mara.get(url_of("agent_list"))).messages() == ["Release agent was saved."]


def test_what_changes_nothing_writes_nothing(mara: Client, agent: Key, way: dict[str, str]) -> None:
    assert edit(mara, agent, way).status_code == (200 if way else 303)
    assert now(agent).version == 1
    assert not AuditEvent.objects.filter(verb="key.edited").exists()


def test_an_expired_key_is_renamed(mara: Client, make: MakeKey, at: datetime, way: dict[str, str]) -> None:
    key = make("Old scout", type=KeyType.AGENT, at=at - timedelta(days=120)).key
    edit(mara, key, way, name="Retired scout")
    assert now(key).name == "Retired scout"


# What it refuses


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"name": ""}, "name", "Enter a name."),
        ({"name": "nightly EXPORT"}, "name", "Another key is called “Nightly export”."),
        ({"name": "automator key"}, "name", "Another key is called “Automator Key”."),
        ({"name": "ten chars " * 11}, "name", "Use 100 characters or fewer."),
        ({"name": "a\u202eb"}, "name", "Use letters, digits, blanks and punctuation that can be seen."),
        ({"name": f"Agent {TOKEN}"}, "name", LOOKS_LIKE_A_KEY),
        ({"note": "x " * 501}, "note", "Use 1,000 characters or fewer."),
        ({"note": f"It is {TOKEN[20:58]}."}, "note", LOOKS_LIKE_A_KEY),
    ],
    ids=str,
)
def test_it_refuses_with_words_of_its_own(
    mara: Client, agent: Key, make: MakeKey, way: dict[str, str], typed: dict[str, str], field: str,
    words: str,
) -> None:  # fmt: skip
    make("Nightly export")
    response = edit(mara, agent, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.is_whole is not bool(way)
    if not way:
        assert page.title == "Error: Edit Release agent · Acme · Keyrack"
    # The heading names the key that it is, not what was typed.
    assert page.heading == "Edit Release agent"
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    assert page.one(id="errors").one("a", words).attrs["href"] == f"#id_{field}"
    assert TOKEN[20:39] not in page.source
    assert (now(agent).name, now(agent).version) == ("Release agent", 1)


def test_a_refused_form_keeps_what_was_typed(mara: Client, agent: Key, way: dict[str, str]) -> None:
    page = Page(edit(mara, agent, way, name="", note="For <the> team"))
    fields = page.form_of("Save").fields()
    assert (fields["name"], fields["note"], fields["version"]) == ([""], ["For <the> team"], ["1"])


@pytest.mark.parametrize("version", ["", "x", "1.5", TOKEN, "9" * 5000])
def test_it_is_not_taken_without_its_number(
    mara: Client, agent: Key, way: dict[str, str], version: str
) -> None:
    response = edit(mara, agent, way, version=version, name="New")
    assert response.status_code == 422
    page = Page(response)
    assert page.problems()[0].startswith("Open this form anew")
    assert TOKEN[20:39] not in page.source
    assert now(agent).name == "Release agent"


# Too late


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        ({}, "just now"),
        ({"seconds": 12}, "12 seconds ago"),
        ({"minutes": 1}, "1 minute ago"),
        ({"hours": 5}, "5 hours ago"),
    ],
    ids=str,
)
def test_whoever_comes_late_is_told_who_was_first_and_shown_both_values(
    mara: Client, agent: Key, project: Project, admin: User, way: dict[str, str],
    monkeypatch: pytest.MonkeyPatch, at: datetime, ago: dict[str, int], said: str,
) -> None:  # fmt: skip
    monkeypatch.setattr("keys.views.keys.timezone.now", lambda: at)
    changed(project, admin, agent, at - timedelta(**ago), name="Ada's agent", note="Ask <Ada>")
    response = edit(mara, agent, way, name="Mara's agent", note="Ask Mara")
    assert response.status_code == 409
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.problems() == [f"Ada Okafor changed this key {said}."]
    told = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert told == {
        "Key name now": "Ada's agent",
        "Key name, as you typed it": "Mara's agent",
        "Note now": "Ask <Ada>",
        "Note, as you typed it": "Ask Mara",
    }
    assert page.heading == "Edit Ada's agent"
    fields = page.form_of("Save").fields()
    assert (fields["name"], fields["note"], fields["version"]) == (["Mara's agent"], ["Ask Mara"], ["2"])
    assert (now(agent).name, now(agent).version) == ("Ada's agent", 2)
    # Whoever saves again knows what they put in the place of what.
    mara.post(url_of("key_edit", agent.key_id), fields, headers=way)
    assert (now(agent).name, now(agent).note, now(agent).version) == ("Mara's agent", "Ask Mara", 3)


def test_only_what_differs_is_shown(
    mara: Client, agent: Key, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    changed(project, admin, agent, at, note="")
    page = Page(edit(mara, agent, way))
    assert page.texts("dt") == ["Note now", "Note, as you typed it"]
    assert page.texts("dd") == ["—", "Ships it"]


def test_a_change_elsewhere_in_the_key_counts_too(
    mara: Client, make: MakeKey, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    key = make(confirmed=False).key
    lifecycle.confirm(project, key.key_id, actor=acting(owner, project), at=at)
    response = edit(mara, key, way, name="New name")
    assert response.status_code == 409
    page = Page(response)
    assert page.problems()[0].startswith("Mara Lindqvist changed this key ")
    assert page.texts("dd") == ["Docs crawler", "New name"]


def test_a_late_key_in_a_field_is_not_shown_again(
    mara: Client, agent: Key, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    changed(project, admin, agent, at, note="x")
    response = edit(mara, agent, way, name=f"Agent {TOKEN}", note=TOKEN[20:58])
    assert response.status_code == 409
    assert TOKEN[20:39] not in response.content.decode()
    assert Page(response).form_of("Save").fields()["name"] == [""]


def test_a_revoked_key_and_the_automator_key_are_left_alone(
    mara: Client, agent: Key, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    lifecycle.revoke(project, agent.key_id, actor=acting(owner, project), at=at)
    automator = project.keys.get(type=KeyType.SYSTEM)
    for key, said in (
        (agent, "Mara Lindqvist already revoked this key at"),
        (automator, "The Automator Key can't be edited."),
    ):
        for response in (
            mara.get(url_of("key_edit", key.key_id), headers=way),
            edit(mara, key, way, name="New"),
        ):
            assert response.status_code == 409
            page = Page(response)
            assert page.is_whole is not bool(way)
            assert page.content.one(role="alert").text.startswith(said)
        assert now(key).name == key.name


# Who may


def test_an_operator_edits_their_own_and_nobody_else_s(
    operator: User, make: MakeKey, agent: Key, way: dict[str, str]
) -> None:
    own = make("Mine", type=KeyType.AGENT, by=operator).key
    client = signed_in(operator)
    edit(client, own, way, name="Mine still")
    assert now(own).name == "Mine still"
    for response in (
        client.get(url_of("key_edit", agent.key_id), headers=way),
        edit(client, agent, way, name="Mine too"),
    ):
        assert response.status_code == 403
    assert now(agent).name == "Release agent"


def test_an_operator_does_not_edit_what_they_could_not_issue(
    operator: User, make: MakeKey, way: dict[str, str]
) -> None:
    wide = make("Wide", scopes=["keys:read"]).key
    Key.objects.filter(pk=wide.pk).update(created_by=operator)
    assert edit(signed_in(operator), wide, way, name="Mine").status_code == 403
    assert now(wide).name == "Wide"


def test_an_admin_edits_anybody_s(admin: User, agent: Key, way: dict[str, str]) -> None:
    edit(signed_in(admin), agent, way, name="Ada's")
    assert now(agent).name == "Ada's"


def test_a_viewer_is_told_that_they_may_not(viewer: User, agent: Key, way: dict[str, str]) -> None:
    client = signed_in(viewer)
    for response in (
        client.get(url_of("key_edit", agent.key_id), headers=way),
        edit(client, agent, way, name="Mine"),
    ):
        assert response.status_code == 403
        assert "You can't do that in Acme." in Page(response).texts("p")
    assert now(agent).name == "Release agent"


def test_there_is_no_such_key(mara: Client, project: Project, way: dict[str, str]) -> None:
    url = url_of("key_edit", "A" * 12)
    assert mara.get(url, headers=way).status_code == 404
    assert mara.post(url, {"version": "1", "name": "x"}, headers=way).status_code == 404


def test_it_is_not_taken_from_another_site(owner: User, agent: Key, way: dict[str, str]) -> None:
    assert edit(signed_in(owner, enforce_csrf_checks=True), agent, way, name="x").status_code == 403
    assert now(agent).name == "Release agent"


# Without JavaScript


def test_without_javascript_a_key_is_renamed_from_its_row_and_from_its_page(owner: User, agent: Key) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("agent_list"))
    visitor.follow("Edit Release agent")
    assert visitor.press("Save", name="").error_of("name") == ["Enter a name."]
    page = visitor.press("Save", name="Shipping agent")
    assert visitor.url == url_of("agent_list")
    assert page.messages() == ["Shipping agent was saved."]
    visitor.follow("Shipping agent")
    visitor.follow("Edit Shipping agent")
    page = visitor.press("Save", note="Ships on Fridays")
    assert page.messages() == ["Shipping agent was saved."]
    assert now(agent).note == "Ships on Fridays"
