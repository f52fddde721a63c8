"""Edit: what a key may do, where it may be used from, how often and how long; and what that asks for."""

from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from django.test import Client

from keys import lifecycle
from keys.drafts import Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import Key
from keys.verification import check
from projects.models import AuditEvent, Project, User
from tests.factories import ChannelFactory, acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, Visitor, freshen, let_half_an_hour_pass, signed_in, url_of

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
PASSWORD = "correct horse battery"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


@pytest.fixture
def mara(owner: User) -> Client:
    return freshen(signed_in(owner))


@pytest.fixture
def stale(owner: User) -> Client:
    """An owner who gave the password too long ago."""
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    return let_half_an_hour_pass(signed_in(owner))


def form_of(client: Client, key: Key, headers: dict[str, str] | None = None) -> dict[str, list[str]]:
    response = client.get(url_of("key_edit", key.key_id), headers=headers or {})
    assert response.status_code == 200
    return Page(response).form_of("Save").fields()


def save(client: Client, key: Key, headers: dict[str, str] | None = None, **typed: Any) -> Any:
    """Send the form as it comes, with what is typed over it."""
    sent = {**form_of(client, key, headers), **typed}
    return client.post(url_of("key_edit", key.key_id), sent, headers=headers or {})


def now(key: Key) -> Key:
    return Key.objects.get(pk=key.pk)


def held(project: Project, kind: KeyType) -> dict[str, str]:
    if kind is not KeyType.CHANNEL:
        return {}
    return {"channel": ChannelFactory(project=project).slug, "holder": "Ward 3"}


# What each type has


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("privileged", {"lifetime", "until"}),
        ("viewer", {"lifetime", "until"}),
        ("restricted", {"lifetime", "until", "scopes"}),
        ("agent", {"scopes"}),
        ("channel", {"lifetime", "until"}),
    ],
)
def test_a_type_has_the_fields_that_may_be_changed(
    mara: Client, make: MakeKey, project: Project, way: dict[str, str], kind: str, fields: set[str]
) -> None:
    key = make(type=KeyType(kind), **held(project, KeyType(kind))).key
    always = {"version", "name", "note", "networks", "rate_count", "rate_per"}
    assert form_of(mara, key, way).keys() - {"csrfmiddlewaretoken"} == always | fields


def test_the_form_shows_what_the_key_is(mara: Client, make: MakeKey, at: datetime) -> None:
    limits = {"networks": ["192.0.2.0/24", "2001:db8::/32"], "rate": "5/hour"}
    key = make(scopes=["chat:read", "sources:write"], expires_at=at + 30 * DAY, **limits).key
    page = Page(mara.get(url_of("key_edit", key.key_id)))
    fields = page.form_of("Save").fields()
    assert fields["scopes"] == ["sources:write", "chat:read"]
    assert (fields["networks"], fields["rate_count"], fields["rate_per"]) == (
        ["192.0.2.0/24\n2001:db8::/32"], ["5"], ["hour"],
    )  # fmt: skip
    assert "open" in page.one("details", class_="limits").attrs
    end = (at + 30 * DAY).astimezone(UTC)
    chosen = page.one("select", name_="lifetime").find("option")[0]
    assert chosen.text == f"As it is ({end.day} {end:%b %Y})"
    assert page.one("input", aria_label="Sources: write").attrs["checked"] == ""


def test_limits_are_folded_where_there_are_none(mara: Client, make: MakeKey) -> None:
    page = Page(mara.get(url_of("key_edit", make().key.key_id)))
    assert "open" not in page.one("details", class_="limits").attrs


def test_an_expired_key_is_offered_no_other_end(mara: Client, make: MakeKey, at: datetime) -> None:
    key = make(at=at - 9 * DAY, expires_at=at - DAY).key
    assert "lifetime" not in form_of(mara, key)
    save(mara, key, rate_count="5", lifetime="never")
    assert (now(key).rate, now(key).expires_at) == ("5/minute", key.expires_at)


# Saving


def test_scopes_limits_and_end_are_changed(
    mara: Client, make: MakeKey, way: dict[str, str], at: datetime
) -> None:
    issued = make(expires_at=at + DAY)
    day = (at + 40 * DAY).date()
    response = save(
        mara, issued.key, way, scopes=["chat:read", "chat:send"], lifetime="date", until=day.isoformat(),
        networks="10.0.0.0/8, 192.0.2.7\r\n2001:db8::/32", rate_count="100", rate_per="hour",
    )  # fmt: skip
    assert response.status_code == (200 if way else 303)
    key = now(issued.key)
    assert (key.scopes, key.networks, key.rate) == (
        "chat:read chat:send", "10.0.0.0/8 192.0.2.7/32 2001:db8::/32", "100/hour",
    )  # fmt: skip
    assert key.expires_at == datetime.combine(day, time.max, UTC)
    assert key.secret_hash == issued.key.secret_hash
    assert AuditEvent.objects.filter(verb="key.edited").count() == 1


def test_the_form_as_it_comes_changes_nothing(mara: Client, make: MakeKey, way: dict[str, str]) -> None:
    key = make(networks=["192.0.2.0/24"], rate="5/hour", scopes=["chat:send", "chat:read"]).key
    save(mara, key, way)
    assert now(key).version == 1
    assert not AuditEvent.objects.filter(verb="key.edited").exists()


def test_limits_are_taken_away_by_emptying_them(mara: Client, make: MakeKey, way: dict[str, str]) -> None:
    key = make(networks=["192.0.2.0/24"], rate="5/hour").key
    save(mara, key, way, networks=" ", rate_count="")
    assert (now(key).networks, now(key).rate) == ("", "")


def test_a_form_without_limits_leaves_them_alone(mara: Client, make: MakeKey) -> None:
    key = make(networks=["192.0.2.0/24"], rate="5/hour").key
    sent = {"version": "1", "name": "Wiki", "note": "", "scopes": ["sources:read"]}
    mara.post(url_of("key_edit", key.key_id), sent)
    assert (now(key).name, now(key).networks, now(key).rate) == ("Wiki", "192.0.2.0/24", "5/hour")
    assert now(key).expires_at == key.expires_at


def test_a_scope_that_has_left_the_catalogue_is_in_nobody_s_way(
    mara: Client, make: MakeKey, project: Project
) -> None:
    key = make().key
    Key.objects.filter(pk=key.pk).update(scopes="billing:pay billing:read sources:read")
    page = Page(mara.get(url_of("key_edit", key.key_id)))
    assert "checked" in page.one("input", aria_label="billing (not in the catalogue): pay").attrs
    save(mara, key, name="Tills")
    assert (now(key).name, now(key).scopes) == ("Tills", "billing:pay billing:read sources:read")
    refused = save(mara, now(key), scopes=["billing:pay", "sources:read"])
    assert Page(refused).error_of("scopes") == ["This project has no scope called “billing:pay”."]
    save(mara, now(key), scopes=["sources:read"])
    assert now(key).scopes == "sources:read"


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"scopes": ["sources:read", "chat:send", "chat:read"]}, "chat:read, chat:send"),
        ({"lifetime": "never"}, "never expires"),
        ({"networks": ""}, "from anywhere"),
        ({"networks": "192.0.0.0/16"}, "from 192.0.0.0/16"),
        ({"rate_count": ""}, "without a rate limit"),
        ({"rate_count": "301", "rate_per": "hour"}, "up to 301/hour"),
        ({"scopes": ["sources:read", "chat:read"], "rate_count": ""}, "chat:read; without a rate limit"),
    ],
    ids=str,
)
def test_more_access_than_before_is_said_aloud(
    mara: Client, make: MakeKey, typed: dict[str, Any], said: str, at: datetime
) -> None:
    key = make(expires_at=at + 9 * DAY, networks=["192.0.2.0/24"], rate="5/minute").key
    response = save(mara, key, **typed)
    page = Page(mara.get(response["Location"]))
    assert page.messages() == [f"Docs crawler was saved. More access than before: {said}."]


@pytest.mark.parametrize(
    "typed",
    [
        {"scopes": ["chat:read"]},
        {"networks": "192.0.2.7"},
        {"rate_count": "4"},
        {"rate_count": "5", "rate_per": "hour"},
        {"name": "Wiki"},
    ],
    ids=str,
)
def test_less_access_is_not(mara: Client, make: MakeKey, typed: dict[str, Any], at: datetime) -> None:
    limits = {"networks": ["192.0.2.0/24"], "rate": "5/minute"}
    key = make(expires_at=at + 9 * DAY, scopes=["chat:read", "chat:send"], **limits).key
    page = Page(mara.get(save(mara, key, **typed)["Location"]))
    assert page.messages() == [f"{now(key).name} was saved."]
    assert now(key).version == 2


# What it refuses


@pytest.mark.parametrize(
    ("typed", "field", "words"),
    [
        ({"scopes": []}, "scopes", "Pick at least one scope."),
        ({"scopes": ["billing:read"]}, "scopes", "Pick scopes that are in the table."),
        ({"lifetime": "forever"}, "lifetime", "Choose when the key expires."),
        ({"lifetime": "date"}, "until", "Choose a date after today."),
        ({"lifetime": "date", "until": "2020-01-01"}, "until", "Choose a date after today."),
        ({"lifetime": "date", "until": "soon"}, "until", "Enter a date, such as 2027-02-18."),
        ({"networks": "10.0.0.0/33"}, "networks", "“10.0.0.0/33” is not a network."),
        ({"networks": "10.0.0.1/8"}, "networks", "“10.0.0.1/8” is not a network."),
        ({"networks": "\n".join(f"10.0.{n}.0/24" for n in range(51))}, "networks",
         "Use 50 networks or fewer."),
        ({"networks": TOKEN}, "networks", "“…” is not a network."),
        ({"rate_count": "0"}, "rate_count", "Enter a whole number from 1 to 1,000,000."),
        ({"rate_count": "1000001"}, "rate_count", "Enter a whole number from 1 to 1,000,000."),
        ({"rate_count": "many"}, "rate_count", "Enter a whole number from 1 to 1,000,000."),
        ({"rate_count": "1.5"}, "rate_count", "Enter a whole number from 1 to 1,000,000."),
        ({"rate_count": "5", "rate_per": "week"}, "rate_per", "Choose second, minute, hour or day."),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_it_refuses_with_words_of_its_own(
    mara: Client, make: MakeKey, way: dict[str, str], typed: dict[str, Any], field: str, words: str
) -> None:
    key = make().key
    response = save(mara, key, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of(field) == [words]
    assert page.one(id="errors").one("a", words).attrs["href"] == f"#id_{field}"
    assert page.one(id=f"id_{field}")
    assert "S3cret" not in page.source
    assert now(key).version == 1
    if field not in ("scopes", "lifetime", "until"):
        # What is wrong is seen: the limits aren't folded.
        assert "open" in page.one("details", class_="limits").attrs


def test_all_that_is_wrong_is_said_at_once(mara: Client, make: MakeKey, way: dict[str, str]) -> None:
    response = save(mara, make().key, way, name="", scopes=[], networks="here")
    assert Page(response).problems() == [
        "Enter a name.", "Pick at least one scope.", "“here” is not a network.",
    ]  # fmt: skip


# Too late


def test_whoever_comes_late_sees_both_sides_of_all_that_differs(
    mara: Client, make: MakeKey, project: Project, admin: User, way: dict[str, str], at: datetime
) -> None:
    key = make(expires_at=at + 30 * DAY).key
    sent = form_of(mara, key, way)
    first = Edit(
        name="Ada's", scopes=["chat:read"], expires_at=NEVER_EXPIRES, networks=["10.0.0.0/8"], rate="5/hour"
    )
    lifecycle.edit(project, key.key_id, first, actor=acting(admin, project), at=at, version=1)
    day = (at + 40 * DAY).date().isoformat()
    sent |= {
        "scopes": ["sources:read", "chat:send"], "lifetime": ["date"], "until": [day],
        "networks": ["192.0.2.7/32"], "rate_count": ["100"],
    }  # fmt: skip
    response = mara.post(url_of("key_edit", key.key_id), sent, headers=way)
    assert response.status_code == 409
    page = Page(response)
    told = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert told == {
        "Key name now": "Ada's", "Key name, as you typed it": "Docs crawler",
        "Scopes now": "chat:read", "Scopes, as you typed it": "chat:send, sources:read",
        "Expires now": "never", "Expires, as you typed it": f"On a date: {day}",
        "Allowed networks now": "10.0.0.0/8", "Allowed networks, as you typed it": "192.0.2.7/32",
        "Rate limit now": "5/hour", "Rate limit, as you typed it": "100/minute",
    }  # fmt: skip
    again = page.form_of("Save").fields()
    assert again["version"] == ["2"]
    assert {name: again[name] for name in ("lifetime", "until", "networks")} == {
        name: sent[name] for name in ("lifetime", "until", "networks")
    }
    mara.post(url_of("key_edit", key.key_id), again, headers=way)
    assert (now(key).scopes, now(key).rate) == ("chat:send sources:read", "100/minute")


def test_an_end_that_was_left_alone_stays_as_the_other_has_set_it(
    mara: Client, make: MakeKey, project: Project, admin: User, at: datetime
) -> None:
    key = make(expires_at=at + 30 * DAY).key
    sent = form_of(mara, key)
    first = Edit(expires_at=NEVER_EXPIRES)
    lifecycle.edit(project, key.key_id, first, actor=acting(admin, project), at=at, version=1)
    page = Page(mara.post(url_of("key_edit", key.key_id), {**sent, "note": "Mine"}))
    assert page.texts("dt") == ["Note now", "Note, as you typed it"]
    assert page.one("select", name_="lifetime").find("option")[0].text == "As it is (never)"
    mara.post(url_of("key_edit", key.key_id), page.form_of("Save").fields())
    assert (now(key).note, now(key).never_expires) == ("Mine", True)


# The password


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("privileged", {"lifetime": "30"}),
        ("privileged", {"networks": "192.0.2.0/24"}),
        ("restricted", {"scopes": ["sources:read", "keys:write"]}),
        ("agent", {"scopes": ["gateway:use"]}),
    ],
    ids=str,
)
def test_what_only_admins_give_asks_for_the_password(
    stale: Client, make: MakeKey, way: dict[str, str], kind: str, typed: dict[str, Any]
) -> None:
    key = make(type=KeyType(kind)).key
    response = save(stale, key, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.problems() == page.error_of("current_password") == ["Enter your password."]
    assert now(key).version == 1
    assert save(stale, key, way, **typed, current_password="not this one").status_code == 422
    assert save(stale, key, way, **typed, current_password=PASSWORD).status_code == (200 if way else 303)
    assert now(key).version == 2


@pytest.mark.parametrize(
    ("kind", "typed"),
    [
        ("privileged", {"name": "Zendesk sync", "note": "Ask Ada"}),
        ("restricted", {"scopes": ["sources:write"], "lifetime": "never", "networks": "192.0.2.0/24"}),
        ("viewer", {"lifetime": "30", "rate_count": "5"}),
    ],
    ids=str,
)
def test_what_operators_may_asks_for_none(
    stale: Client, make: MakeKey, way: dict[str, str], kind: str, typed: dict[str, Any]
) -> None:
    key = make(type=KeyType(kind)).key
    save(stale, key, way, **typed)
    assert now(key).version == 2


def test_a_scope_that_only_admins_give_is_guarded_while_the_key_has_it(stale: Client, make: MakeKey) -> None:
    key = make(scopes=["keys:read"]).key
    assert save(stale, key, lifetime="30").status_code == 422
    assert save(stale, key, scopes=["sources:read"]).status_code == 422
    assert save(stale, key, note="x").status_code == 303


def test_whoever_has_just_signed_in_is_not_asked(mara: Client, make: MakeKey) -> None:
    key = make(type=KeyType.PRIVILEGED).key
    assert "current_password" not in form_of(mara, key)
    save(mara, key, lifetime="30")
    assert not now(key).never_expires


# Who may


def test_an_operator_is_offered_and_gets_no_more_than_they_may_give(
    operator: User, make: MakeKey, way: dict[str, str]
) -> None:
    client = signed_in(operator)
    key = make(by=operator).key
    page = Page(client.get(url_of("key_edit", key.key_id), headers=way))
    offered = [box.attrs["value"] for box in page.find("input", name_="scopes")]
    assert not [scope for scope in offered if scope.startswith(("keys:", "settings:", "gateway:"))]
    assert save(client, key, way, scopes=["sources:read", "keys:read"]).status_code == 422
    assert now(key).scopes == "sources:read"


def test_without_javascript_a_key_is_limited(owner: User, make: MakeKey, at: datetime) -> None:
    issued = make(by=owner)
    visitor = Visitor(owner)
    visitor.visit(url_of("key_detail", issued.key.key_id))
    visitor.follow("Edit Docs crawler")
    assert visitor.press("Save", networks="10.0.0.0/33").error_of("networks")
    page = visitor.press("Save", networks="10.0.0.0/8", rate_count="2", rate_per="hour")
    assert page.messages() == ["Docs crawler was saved."]
    visitor.follow("Docs crawler")
    assert "Only from 10.0.0.0/8" in visitor.page.content.text
    assert check(issued.token, at=at).outcome == "network-not-allowed"
