"""Create API key: the form, what it refuses and how, and the secret that is shown once."""

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import Key
from keys.verification import check
from projects.models import AuditEvent, User
from tests.authenticator import enrol
from tests.web.conftest import MakeKey
from tests.web.pages import (
    HTMX,
    Node,
    Page,
    Visitor,
    freshen,
    let_half_an_hour_pass,
    signed_in,
    url_of,
)

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
SECRET = TOKEN[20:58]
HERE = "/projects/acme/settings/keys/new/"
PASSWORD = "correct horse battery"
LOOKS_LIKE_A_KEY = "That looks like an API key. Keys don't belong here: nobody should be able to read it."
UNSEEN = "Use letters, digits, blanks and punctuation that can be seen."

Typed = str | Sequence[str]


@pytest.fixture
def mara(owner: User) -> Client:
    """An owner who has just signed in."""
    return freshen(signed_in(owner))


def filled(**typed: Typed) -> dict[str, Typed]:
    """Return what the form sends: as it comes, a name and a scope, and what is typed over that."""
    untouched = {"type": "restricted", "lifetime": "90", "until": "", "environment": "live", "note": ""}
    untouched |= {"networks": "", "rate_count": "", "rate_per": "minute"}
    mine = {"nonce": uuid.uuid4().hex, "name": "Docs crawler", "scopes": ["sources:read"]}
    return untouched | mine | typed


def create(client: Client, headers: dict[str, str] | None = None, **typed: Typed) -> Any:
    return client.post(HERE, filled(**typed), headers=headers or {})


def people_keys() -> list[Key]:
    return list(Key.objects.exclude(type=KeyType.SYSTEM).order_by("pk"))


# The form


def test_the_form_is_a_page_and_a_fragment_of_it(mara: Client, way: dict[str, str]) -> None:
    response = mara.get(HERE, headers=way)
    assert response.status_code == 200
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Create API key"
    assert page.content.one(class_="panel")
    form = page.form_of("Generate")
    assert form.action == form.node.attrs["hx-post"] == HERE
    assert form.node.attrs["hx-target"] == "#dialog"
    assert page.link("Cancel") == url_of("key_list")
    assert not page.problems()
    if not way:
        assert page.title == "Create API key · Acme · Keyrack"


def test_the_types_stand_in_their_order_with_restricted_chosen(mara: Client) -> None:
    page = Page(mara.get(HERE))
    group = page.one("fieldset", id="id_type")
    assert group.one("legend").text == "Key type"
    assert [(card.one("b").text, card.one(class_="hint").text) for card in group.find("label")] == [
        ("Privileged key", "Full access to the project. For trusted server-to-server automation."),
        (
            "Locked-down viewer key",
            "Reads, and chats with bots. Changes nothing. For channel bots and wider distribution.",
        ),
        ("Restricted key", "Only the scopes you pick."),
    ]
    chosen = [radio.attrs["value"] for radio in group.find("input", type="radio") if "checked" in radio.attrs]
    assert chosen == ["restricted"]
    for radio in group.find("input", type="radio"):
        assert page.one(id=radio.attrs["aria-describedby"])


def test_it_says_what_a_leak_of_each_type_would_mean(mara: Client) -> None:
    page = Page(mara.get(HERE))
    leak = "If a viewer key leaks, someone can read this project but change nothing."
    assert page.one("p", class_="leak-viewer").text == leak
    assert page.find("p", class_="leak-privileged")
    assert page.find("p", class_="leak-restricted")


def test_the_scopes_are_a_table_of_named_checkboxes(mara: Client) -> None:
    group = Page(mara.get(HERE)).one("fieldset", id="id_scopes")
    assert group.one("legend").text == "Scopes"
    boxes = {box.name: box.attrs["value"] for box in group.find("input", type="checkbox")}
    assert len(boxes) == 18
    assert boxes["Sources: read"] == "sources:read"
    assert boxes["Agents: run"] == "agents:run"
    assert boxes["Gateway: use"] == "gateway:use"
    assert not [box for box in group.find("input") if "checked" in box.attrs]
    button = group.one("button", "Select all read")
    # It does nothing without JavaScript, so it isn't there.
    assert "hidden" in button.attrs
    assert button.attrs["type"] == "button"


def test_each_field_is_labelled_and_explained(mara: Client) -> None:
    page = Page(mara.get(HERE))
    named = [label for label in page.content.find("label") if not label.find("input")]
    labels = {label.text: label.attrs["for"] for label in named}
    limits = {"Allowed networks", "Rate limit", "Uses per"}
    assert set(labels) == {"Key name", "Expires", "Environment", "Last day", "Note"} | limits
    for field in labels.values():
        assert page.one(id=field)
    assert "What the key is for, such as the integration it belongs to." in page.texts("p", class_="hint")


def test_each_lifetime_says_the_date_that_it_means(mara: Client, at: datetime) -> None:
    page = Page(mara.get(HERE))
    options = page.one("select", name_="lifetime").find("option")
    days = [f"{day.day} {day:%b %Y}" for day in (at + timedelta(days=n) for n in (30, 90, 365))]
    assert [option.text for option in options] == [
        f"30 days ({days[0]})",
        f"90 days ({days[1]})",
        f"1 year ({days[2]})",
        "On a date",
        "Never. Not recommended",
    ]
    assert [option.attrs["value"] for option in options if "selected" in option.attrs] == ["90"]
    tomorrow = (at + timedelta(days=1)).date().isoformat()
    assert page.one("input", name_="until").attrs["min"] == tomorrow
    assert page.one("select", name_="environment").texts("option") == ["Live", "Test"]


def test_an_operator_is_not_offered_what_they_may_not_issue(operator: User) -> None:
    page = Page(signed_in(operator).get(HERE))
    assert [radio.attrs["value"] for radio in page.find("input", type="radio")] == ["viewer", "restricted"]
    resources = {box.attrs["value"].partition(":")[0] for box in page.find("input", name_="scopes")}
    assert resources == {"sources", "agents", "workflows", "chat", "providers"}
    assert not page.find("p", class_="leak-privileged")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(mara: Client, method: str) -> None:
    assert getattr(mara, method)(HERE).status_code == 405


# The secret


def test_it_shows_the_secret_once(mara: Client, way: dict[str, str]) -> None:
    response = create(mara, way)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert page.heading == "Copy your key now"
    assert page.content.one(class_="panel").attrs["data-closedby"] == "none"
    assert page.one("span", class_="tag").text == "Restricted"
    assert (
        "This is the only time Docs crawler is shown in full."
        " Keyrack keeps a one-way hash of it, so it can't show it again."
    ) in page.texts("p")
    secret = page.one("output", id="secret")
    assert "data-secret" in secret.attrs
    assert re.fullmatch(r"kr_live_[0-9A-Za-z]{56}", secret.text)
    assert page.one("button", "Copy key").attrs["data-copy-from"] == "#secret"
    assert "data-autofocus" in page.one("button", "Copy key").attrs
    if not way:
        assert page.title == "Copy your key now · Acme · Keyrack"
    # In the text that is shown, and in the form that downloads it; nowhere else, and in no header.
    assert page.source.count(secret.text) == 2
    assert SECRET not in str(response.headers)
    assert secret.text not in str(response.headers) + str(response.cookies)


def test_the_secret_works(mara: Client, way: dict[str, str], at: datetime) -> None:
    token = Page(create(mara, way)).one("output", id="secret").text
    verdict = check(token, at=at, project="acme", scopes=["sources:read"])
    assert verdict.is_valid


def test_it_says_how_to_try_the_key_without_its_text(mara: Client) -> None:
    page = Page(create(mara))
    assert page.one("pre").text == (
        'curl http://testserver/api/v1/whoami \\ -H "Authorization: Bearer $KEYRACK_KEY"'
    )


def test_the_secret_leaves_by_forms_that_post(mara: Client) -> None:
    page = Page(create(mara))
    (key,) = people_keys()
    download = page.form_of("Download .env")
    assert (download.action, download.method) == (url_of("key_env", key.key_id), "post")
    assert "data-download" in download.node.attrs
    stored = page.form_of("I've stored it")
    assert (stored.action, stored.method) == (url_of("key_confirm", key.key_id), "post")
    assert "token" not in stored.fields()


def test_it_makes_the_key_that_was_asked_for(
    mara: Client, owner: User, way: dict[str, str], at: datetime
) -> None:
    create(mara, way, name="  Docs\u00a0 crawler ", scopes=["chat:read", "sources:read"], note="For the wiki")
    (key,) = people_keys()
    assert key.name == "Docs crawler"
    assert (key.type, key.environment, key.note) == ("restricted", "live", "For the wiki")
    assert key.scopes == "chat:read sources:read"
    assert abs(key.expires_at - at - timedelta(days=90)) < timedelta(minutes=1)
    assert (key.created_by, key.created_by_label) == (owner, "Mara Lindqvist")
    assert key.confirmed_at is None
    assert AuditEvent.objects.get(verb="key.issued", object_id=key.key_id).address == "127.0.0.1"


@pytest.mark.parametrize("kind", ["privileged", "viewer"])
def test_boxes_ticked_for_another_type_are_not_meant(mara: Client, way: dict[str, str], kind: str) -> None:
    page = Page(create(mara, way, type=kind))
    assert page.one("span", class_="tag").text == KeyType(kind).label
    (key,) = people_keys()
    assert (key.type, key.scopes) == (kind, "")


@pytest.mark.parametrize("lifetime", ["30", "90", "365"])
def test_a_lifetime_counts_from_now(mara: Client, at: datetime, lifetime: str) -> None:
    create(mara, lifetime=lifetime, until="2001-01-01")
    (key,) = people_keys()
    assert abs(key.expires_at - at - timedelta(days=int(lifetime))) < timedelta(minutes=1)


def test_a_key_may_last_for_ever(mara: Client) -> None:
    create(mara, lifetime="never")
    assert people_keys()[0].expires_at == NEVER_EXPIRES


def test_a_date_is_meant_to_its_end(mara: Client, at: datetime) -> None:
    day = (at + timedelta(days=1)).date()
    create(mara, lifetime="date", until=day.isoformat())
    assert people_keys()[0].expires_at == datetime.combine(day, time.max, UTC)


def test_a_test_key_says_so_in_its_token(mara: Client) -> None:
    page = Page(create(mara, environment="test"))
    assert page.one("output", id="secret").text.startswith("kr_test_")
    assert people_keys()[0].environment == "test"


def test_a_name_that_looks_like_markup_is_shown_as_it_is(mara: Client, way: dict[str, str]) -> None:
    page = Page(create(mara, way, name="<b>x</b>"))
    assert any("This is the only time <b>x</b> is shown" in text for text in page.texts("p"))


# What it refuses


REFUSED: dict[str, tuple[dict[str, Typed], str, str]] = {
    "no name": ({"name": ""}, "name", "Enter a name."),
    "blank name": ({"name": " \u00a0 "}, "name", "Enter a name."),
    "taken name": ({"name": "nightly EXPORT"}, "name", "Another key is called “Nightly export”."),
    "the Automator's name": ({"name": "automator key"}, "name", "Another key is called “Automator Key”."),
    "long name": ({"name": "ten chars " * 10 + "x"}, "name", "Use 100 characters or fewer."),
    "control character": ({"name": "a\x07b"}, "name", UNSEEN),
    "zero width": ({"name": "a\u200bb"}, "name", UNSEEN),
    "right to left override": ({"name": "a\u202eb"}, "name", UNSEEN),
    "a line in the name": ({"name": "a\u2028b"}, "name", UNSEEN),
    "key as name": ({"name": f"Crawler {TOKEN}"}, "name", LOOKS_LIKE_A_KEY),
    "secret as name": ({"name": SECRET}, "name", LOOKS_LIKE_A_KEY),
    "key in note": ({"note": f"It is {TOKEN}."}, "note", LOOKS_LIKE_A_KEY),
    "long note": ({"note": "x " * 501}, "note", "Use 1,000 characters or fewer."),
    "unseen in note": ({"note": "a\u200bb"}, "note", UNSEEN),
    "no scope": ({"scopes": []}, "scopes", "Pick at least one scope."),
    "unknown scope": ({"scopes": ["sources:rea"]}, "scopes", "Pick scopes that are in the table."),
    "everything": ({"scopes": ["*"]}, "scopes", "Pick scopes that are in the table."),
    "key as scope": ({"scopes": [TOKEN]}, "scopes", "Pick scopes that are in the table."),
    "unknown type": ({"type": "golden"}, "type", "Choose a type of key."),
    "no type": ({"type": ""}, "type", "Choose a type of key."),
    "system": ({"type": "system"}, "type", "Choose a type of key."),
    "key as type": ({"type": TOKEN}, "type", "Choose a type of key."),
    "unknown lifetime": ({"lifetime": "91"}, "lifetime", "Choose when the key expires."),
    "key as lifetime": ({"lifetime": TOKEN}, "lifetime", "Choose when the key expires."),
    "past date": ({"lifetime": "date", "until": "2001-01-01"}, "until", "Choose a date after today."),
    "no date": ({"lifetime": "date", "until": ""}, "until", "Choose a date after today."),
    "no such date": (
        {"lifetime": "date", "until": "2027-02-30"}, "until", "Enter a date, such as 2027-02-18.",
    ),
    "key as date": ({"lifetime": "date", "until": TOKEN}, "until", "Enter a date, such as 2027-02-18."),
    "unknown environment": ({"environment": "staging"}, "environment", "Choose Live or Test."),
    "key as environment": ({"environment": TOKEN}, "environment", "Choose Live or Test."),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_with_words_of_its_own(
    mara: Client, make: MakeKey, way: dict[str, str], case: str
) -> None:
    make("Nightly export")
    typed, field, words = REFUSED[case]
    response = create(mara, way, **typed)
    assert response.status_code == 422
    assert "HX-Request" in response["Vary"]
    assert "no-store" in response["Cache-Control"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    if not way:
        assert page.title == "Error: Create API key · Acme · Keyrack"
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    target = page.one(id="errors").one("a", words).attrs["href"]
    assert target == f"#id_{field}"
    assert page.one(id=f"id_{field}")
    assert [key.name for key in people_keys()] == ["Nightly export"]
    assert_nothing_of_the_key_in(response)


@pytest.mark.parametrize("field", ["name", "note", "lifetime", "until", "environment"])
def test_a_refused_field_is_tied_to_its_message(mara: Client, field: str) -> None:
    wrong: dict[str, dict[str, Any]] = {
        "until": {"lifetime": "date"},
        "name": {"name": ""},
        "note": {"note": TOKEN},
    }
    page = Page(create(mara, **wrong.get(field, {field: "x"})))
    control = page.one(name_=field)
    assert control.attrs["aria-invalid"] == "true"
    assert f"id_{field}_error" in control.attrs["aria-describedby"].split()
    for described in control.attrs["aria-describedby"].split():
        assert page.one(id=described)


def assert_nothing_of_the_key_in(response: Any) -> None:
    text = response.content.decode() + str(response.headers) + str(response.cookies)
    for part in (TOKEN, SECRET, SECRET[:19], SECRET[19:]):
        assert part not in text


def test_today_is_no_date_to_end_on(mara: Client, way: dict[str, str], at: datetime) -> None:
    response = create(mara, way, lifetime="date", until=at.date().isoformat())
    assert Page(response).error_of("until") == ["Choose a date after today."]


@pytest.mark.parametrize(
    ("nonce", "words"),
    [
        ("", "Open this form anew: it was sent without its number."),
        ("0" * 31, "Open this form anew: its number was changed."),
        (TOKEN, "Open this form anew: its number was changed."),
    ],
    ids=["none", "short", "key"],
)
def test_a_form_without_its_nonce_is_refused(
    mara: Client, way: dict[str, str], nonce: str, words: str
) -> None:
    response = create(mara, way, nonce=nonce)
    assert response.status_code == 422
    assert Page(response).problems() == [words]
    assert not people_keys()
    assert_nothing_of_the_key_in(response)


def test_an_empty_post_is_a_form_with_everything_missing(mara: Client, way: dict[str, str]) -> None:
    response = mara.post(HERE, {}, headers=way)
    assert response.status_code == 422
    assert "Choose a type of key." in Page(response).problems()


def test_it_says_all_that_is_wrong_at_once(mara: Client, way: dict[str, str]) -> None:
    response = create(mara, way, name="ten chars " * 11, scopes=[], note=TOKEN)
    page = Page(response)
    assert set(page.problems()) == {
        "Use 100 characters or fewer.", "Pick at least one scope.", LOOKS_LIKE_A_KEY,
    }  # fmt: skip
    assert_nothing_of_the_key_in(response)


def test_a_refused_form_keeps_what_was_typed(mara: Client, way: dict[str, str]) -> None:
    typed: dict[str, Typed] = {
        "name": "", "type": "restricted", "scopes": ["chat:send", "sources:read"], "lifetime": "30",
        "environment": "test", "note": "For <the> wiki", "until": "2099-01-02",
    }  # fmt: skip
    sent = filled(**typed)
    form = Page(mara.post(HERE, sent, headers=way)).form_of("Generate")
    kept = form.fields()
    assert kept["nonce"] == [sent["nonce"]]
    for name in typed:
        value = typed[name]
        assert sorted(kept[name]) == sorted([value] if isinstance(value, str) else value), name


def test_a_refused_form_forgets_a_key_and_keeps_the_rest(mara: Client, way: dict[str, str]) -> None:
    response = create(mara, way, name=TOKEN, note="For the wiki")
    kept = Page(response).form_of("Generate").fields()
    assert kept["name"] == [""]
    assert kept["note"] == ["For the wiki"]
    assert kept["scopes"] == ["sources:read"]


def test_a_key_is_forgotten_even_where_another_field_is_wrong(mara: Client, way: dict[str, str]) -> None:
    response = create(mara, way, name="", note=SECRET, environment="staging")
    assert response.status_code == 422
    assert_nothing_of_the_key_in(response)


def test_a_mended_form_makes_the_key(mara: Client, way: dict[str, str]) -> None:
    fields = Page(create(mara, way, name="")).form_of("Generate").fields()
    response = mara.post(HERE, fields | {"name": ["Mended"]}, headers=way)
    assert Page(response).heading == "Copy your key now"
    assert [key.name for key in people_keys()] == ["Mended"]


# Once


@pytest.mark.parametrize("change", [{}, {"name": "Another name"}, {"type": "viewer"}], ids=str)
def test_a_second_submit_makes_no_second_key(
    mara: Client, way: dict[str, str], change: dict[str, str]
) -> None:
    fields = filled()
    token = Page(mara.post(HERE, fields, headers=way)).one("output", id="secret").text
    (key,) = people_keys()
    response = mara.post(HERE, fields | change, headers=way)
    assert response.status_code == 409
    assert "HX-Request" in response["Vary"]
    page = Page(response)
    assert page.is_whole is not bool(way)
    said = page.content.one(role="alert").text
    assert said == "This key was already created. Its secret can't be shown again."
    assert page.link("Docs crawler") == url_of("key_detail", key.key_id)
    assert page.content.one("a", "Get a new secret").attrs["href"] == url_of("key_renew", key.key_id)
    assert page.link("Back to API keys") == url_of("key_list")
    assert token[20:39] not in page.source
    assert people_keys() == [key]
    assert AuditEvent.objects.filter(verb="key.issued", object_id=key.key_id).count() == 1


def test_each_opening_of_the_form_is_another_one(mara: Client) -> None:
    nonces = {Page(mara.get(HERE)).form_of("Generate").fields()["nonce"][0] for _ in range(3)}
    assert len(nonces) == 3
    for nonce in nonces:
        assert create(mara, name=f"Key {nonce}", nonce=nonce).status_code == 200
    assert len(people_keys()) == 3


def test_the_form_as_it_comes_asks_for_what_these_tests_send(mara: Client, way: dict[str, str]) -> None:
    form = Page(mara.get(HERE, headers=way)).form_of("Generate").fields()
    sent = filled(name="", scopes=[])
    assert form.keys() - {"csrfmiddlewaretoken"} == sent.keys() - {"scopes"}
    assert all(form[name] == [sent[name]] for name in sent.keys() - {"nonce", "scopes"})


# A privileged key asks for the password


@pytest.fixture
def stale(owner: User) -> Client:
    """An owner who gave the password too long ago."""
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return let_half_an_hour_pass(signed_in(owner))


def test_a_privileged_key_asks_for_the_password_in_the_same_form(stale: Client, way: dict[str, str]) -> None:
    typed = {"type": "privileged", "name": "Zendesk sync", "note": "Asked for by Ada"}
    response = create(stale, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("current_password") == ["Enter your password."]
    fields = page.form_of("Generate").fields()
    assert (fields["type"], fields["name"], fields["note"]) == (
        ["privileged"], ["Zendesk sync"], ["Asked for by Ada"],
    )  # fmt: skip
    assert Page(create(stale, way, **typed, current_password="not this one")).problems() == [
        "That password isn't right."
    ]
    assert not people_keys()
    assert Page(create(stale, way, **typed, current_password=PASSWORD)).heading == "Copy your key now"
    # Good for half an hour.
    assert create(stale, way, type="privileged", name="Another").status_code == 200


def test_a_code_of_the_second_factor_will_do(stale: Client, owner: User, way: dict[str, str]) -> None:
    app = enrol(owner)
    response = create(stale, way, type="privileged", current_code=app.wrong_code())
    assert Page(response).error_of("current_code") == ["That code isn't right, or was used before."]
    assert create(stale, way, type="privileged", current_code=app.code()).status_code == 200


@pytest.mark.parametrize("kind", ["viewer", "restricted"])
def test_another_key_asks_for_none(stale: Client, way: dict[str, str], kind: str) -> None:
    # What a browser filled in where it isn't asked for isn't tried either.
    response = create(stale, way, type=kind, current_password="not this one")
    assert response.status_code == 200
    assert len(people_keys()) == 1


def test_the_password_stands_where_a_privileged_key_is_spoken_of(stale: Client) -> None:
    block = Page(stale.get(HERE)).one("div", class_="leak-privileged")
    assert block.one("input", name_="current_password")
    assert "Asked for a privileged key alone." in block.text


def test_an_operator_is_never_asked(operator: User) -> None:
    page = Page(let_half_an_hour_pass(signed_in(operator)).get(HERE))
    assert not page.content.find("input", type="password")


def test_whoever_has_just_signed_in_is_not_asked(mara: Client) -> None:
    assert not Page(mara.get(HERE)).content.find("input", type="password")


# Who may


def test_a_viewer_is_told_that_they_may_not(viewer: User, mara: Client, way: dict[str, str]) -> None:
    client = signed_in(viewer)
    for response in (
        client.get(HERE, headers=way),
        client.post(HERE, filled(), headers=way),
    ):
        assert response.status_code == 403
        page = Page(response)
        assert page.title == "Not allowed · Keyrack"
        assert "You can't do that in Acme." in page.texts("p")
    assert not people_keys()


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"type": "privileged"}, "Choose a type of key."),
        ({"scopes": ["sources:read", "keys:read"]}, "Pick scopes that are in the table."),
        ({"scopes": ["keys:write"]}, "Pick scopes that are in the table."),
        ({"scopes": ["settings:write"]}, "Pick scopes that are in the table."),
        ({"scopes": ["gateway:use"]}, "Pick scopes that are in the table."),
    ],
    ids=str,
)
def test_an_operator_gets_no_more_by_a_forged_form(
    operator: User, way: dict[str, str], typed: dict[str, Typed], words: str
) -> None:
    response = create(signed_in(operator), way, **typed)
    assert response.status_code == 422
    assert Page(response).problems() == [words]
    assert not people_keys()


def test_an_operator_issues_what_they_may(operator: User, way: dict[str, str]) -> None:
    assert create(signed_in(operator), way).status_code == 200
    assert people_keys()[0].created_by == operator


def test_an_admin_issues_what_an_operator_may_not(admin: User, way: dict[str, str]) -> None:
    assert create(signed_in(admin), way, scopes=["keys:write", "gateway:use"]).status_code == 200
    assert people_keys()[0].scopes == "gateway:use keys:write"


def test_a_form_from_elsewhere_makes_nothing(owner: User, mara: Client, way: dict[str, str]) -> None:
    strict = signed_in(owner, enforce_csrf_checks=True)
    response = strict.post(HERE, filled(), headers=way)
    assert response.status_code == 403
    assert "This form is out of date" in response.content.decode()
    assert not people_keys()


# Without JavaScript


def test_without_javascript_a_key_is_made_stored_and_listed(owner: User) -> None:
    visitor = Visitor(owner)
    visitor.visit(url_of("key_list"))
    visitor.follow("Create API key")
    page = visitor.press("Generate", name="")
    assert page.error_of("name") == ["Enter a name."]
    page = visitor.press("Generate", name="Docs crawler", scopes=["sources:read"])
    assert page.heading == "Copy your key now"
    page = visitor.press("I've stored it")
    assert visitor.url == url_of("key_list")
    assert page.messages() == ["Docs crawler is ready to use."]
    cell: Node = page.rows("Project API keys, newest first")[0]["Name"]
    assert cell.text == "Docs crawler Restricted sources:read"
    assert visitor.visit(url_of("key_list")).messages() == []


def test_the_way_through_htmx_ends_in_the_same_list(mara: Client) -> None:
    page = Page(create(mara, HTMX))
    response = mara.post(page.form_of("I've stored it").action, headers=HTMX)
    page = Page(response)
    assert page.messages() == ["Docs crawler is ready to use."]
    assert page.find("a", "Docs crawler")


# Limits


def test_a_key_is_made_with_limits(mara: Client, way: dict[str, str], at: datetime) -> None:
    response = create(mara, way, networks="192.0.2.0/24\r\n2001:DB8::/32", rate_count="100", rate_per="hour")
    assert response.status_code == 200
    [key] = people_keys()
    assert (key.networks, key.rate) == ("192.0.2.0/24 2001:db8::/32", "100/hour")
    event = AuditEvent.objects.get(verb="key.issued", object_id=key.key_id)
    assert (event.changes["networks"], event.changes["rate"]) == (
        ["192.0.2.0/24", "2001:db8::/32"], "100/hour",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"networks": "10.0.0.0/33"}, "networks", "“10.0.0.0/33” is not a network."),
        ({"networks": "office"}, "networks", "“office” is not a network."),
        ({"rate_count": "-1"}, "rate_count", "Enter a whole number from 1 to 1,000,000."),
        ({"rate_per": "week"}, "rate_per", "Choose second, minute, hour or day."),
    ],
    ids=str,
)
def test_a_wrong_limit_is_named_with_all_else_and_seen(
    mara: Client, way: dict[str, str], typed: dict[str, str], field: str, words: str
) -> None:
    page = Page(create(mara, way, name="", **typed))
    assert page.error_of(field) == [words]
    if field == "networks":
        assert page.problems() == ["Enter a name.", words]
    assert "open" in page.one("details", class_="limits").attrs
    assert not people_keys()


def test_limits_are_folded_until_they_are_wanted(mara: Client) -> None:
    limits = Page(mara.get(HERE)).one("details", class_="limits")
    assert "open" not in limits.attrs
    assert limits.texts("label") == ["Allowed networks", "Rate limit", "Uses per"]
