"""A key's own page: its facts, its life, and what somebody may do there."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone

from keys.activity import activity
from keys.drafts import Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.lifecycle import confirm, edit, renew, revoke, rotate
from keys.models import DayCount, Key, KeyActivity
from keys.sources import Source
from keys.verification import check
from projects.models import Project, User
from projects.moments import Moment
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import Page, signed_in, url_of

pytestmark = pytest.mark.django_db

TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


def detail(client: Client, key: Key) -> Page:
    response = client.get(url_of("key_detail", key.key_id))
    assert response.status_code == 200
    return Page(response)


def facts(page: Page) -> dict[str, str]:
    pairs = page.find("dl")[0].find("div")
    return {pair.one("dt").text: pair.one("dd").text for pair in pairs}


def actions(page: Page) -> list[str]:
    return page.one("div", class_="pagehead").one("div", class_="actions").names("a")


def test_it_says_which_key_it_is(mara: Client, make: MakeKey) -> None:
    page = detail(mara, make().key)
    assert page.title == "Docs crawler · API keys · Acme · Keyrack"
    assert page.heading == "Docs crawler"
    assert page.one("main").find("a", "API keys")[0].attrs["href"] == url_of("key_list")


def test_it_is_a_whole_page_whoever_asks(mara: Client, make: MakeKey, way: dict[str, str]) -> None:
    response = mara.get(url_of("key_detail", make().key.key_id), headers=way)
    assert Page(response).is_whole


def test_it_tells_the_facts(mara: Client, make: MakeKey, operator: User, at: datetime) -> None:
    issued = make(
        by=operator,
        scopes=("sources:write", "chat:read"),
        environment="test",
        note="Line 1\nLine <2>",
        expires_at=at + timedelta(days=82, hours=1),
    )
    made, ends = Moment.of(at).text, Moment.of(at + timedelta(days=82, hours=1)).text
    assert facts(detail(mara, issued.key)) == {
        "Key": issued.key.preview,
        "Key ID": issued.key.key_id,
        "Scopes": "chat:read, sources:write",
        "Environment": "Test",
        "Created": f"{made}, by Otis Brandt",
        "Expires": f"{ends}, in 82 days",
        "Last used": "Never used",
        "Note": "Line 1 Line <2>",
    }


def test_the_key_id_can_be_copied(mara: Client, make: MakeKey) -> None:
    key = make().key
    button = detail(mara, key).one("button", "Copy key ID of Docs crawler")
    assert button.attrs["data-copy"] == key.key_id


@pytest.mark.parametrize(
    ("kind", "scopes"),
    [
        (KeyType.PRIVILEGED, "*"),
        (KeyType.VIEWER, "agents:read, chat:read, chat:send, sources:read, workflows:read"),
    ],
)
def test_it_spells_out_what_a_type_may_do(mara: Client, make: MakeKey, kind: str, scopes: str) -> None:
    assert facts(detail(mara, make(type=kind, scopes=()).key))["Scopes"] == scopes


def test_it_says_never_where_there_is_no_end(mara: Client, make: MakeKey) -> None:
    assert facts(detail(mara, make().key))["Expires"] == "never"


def test_it_says_when_and_from_where_the_key_was_used(mara: Client, make: MakeKey, at: datetime) -> None:
    key = make().key
    KeyActivity.objects.filter(key=key).update(
        last_used_at=at, last_used_client="curl", last_used_address="192.0.2.41"
    )
    assert facts(detail(mara, key))["Last used"] == f"{Moment.of(at).text}, curl · 192.0.2.41"


def test_it_tells_the_life_of_the_key_last_things_first(
    mara: Client, make: MakeKey, project: Project, owner: User, operator: User, at: datetime
) -> None:
    issued = make(confirmed=False, by=operator)
    by_otis, by_mara = acting(operator, project, "192.0.2.9"), acting(owner, project, "192.0.2.41")
    days = [at + timedelta(days=n) for n in range(1, 4)]
    key = renew(project, issued.key.key_id, actor=by_otis, at=days[0], version=issued.key.version).key
    confirm(project, key.key_id, actor=by_otis, at=days[1])
    revoke(project, key.key_id, actor=by_mara, at=days[2], reason="Left <the> team")
    assert detail(mara, key).one("ol", class_="timeline").texts("li") == [
        f"Mara Lindqvist revoked this key: Left <the> team {Moment.of(days[2]).text} · 192.0.2.41",
        f"Otis Brandt stored the secret of this key {Moment.of(days[1]).text} · 192.0.2.9",
        f"Otis Brandt gave this key a new secret {Moment.of(days[0]).text} · 192.0.2.9",
        f"Otis Brandt created this key {Moment.of(at).text}",
    ]


def test_an_edit_is_told_with_each_value_before_and_after(
    mara: Client, make: MakeKey, project: Project, owner: User, at: datetime
) -> None:
    key = make(expires_at=at + timedelta(days=30)).key
    changes = Edit(
        name="Wiki <crawler>", scopes=["chat:read", "chat:send"], expires_at=NEVER_EXPIRES,
        networks=["10.0.0.0/8"], rate="100/minute",
    )  # fmt: skip
    edit(project, key.key_id, changes, actor=acting(owner, project), at=at, version=1)
    page = detail(mara, key)
    told = page.one("ol", class_="timeline").find("li")[0]
    assert told.one("ul").texts("li") == [
        "Key name: Docs crawler → Wiki <crawler>",
        "Scopes: sources:read → chat:read, chat:send",
        f"Expires: {Moment.of(at + timedelta(days=30)).text} → never",
        "Allowed networks: none → 10.0.0.0/8",
        "Rate limit: none → 100/minute",
    ]
    assert facts(page)["Limits"] == "Only from 10.0.0.0/8 At most 100 uses per minute"


def test_the_life_of_one_key_is_not_anothers(mara: Client, make: MakeKey) -> None:
    key = make().key
    make("Other")
    assert len(detail(mara, key).one("ol").find("li")) == 1


def test_a_revoked_key_says_when_by_whom_and_why(
    mara: Client, make: MakeKey, project: Project, operator: User, at: datetime
) -> None:
    key = make().key
    revoke(project, key.key_id, actor=acting(operator, project), at=at, reason="Left the team")
    page = detail(mara, key)
    assert facts(page)["Revoked"] == f"{Moment.of(at).text}, by Otis Brandt: Left the team"
    assert page.texts("span", class_="status") == ["Revoked"]
    assert actions(page) == []


def test_what_may_be_done_is_offered_by_name(mara: Client, make: MakeKey) -> None:
    fresh, stored = make("Fresh", confirmed=False).key, make("Stored").key
    page = detail(mara, fresh)
    assert actions(page) == ["Get a new secret", "Edit Fresh", "Pause Fresh", "Revoke Fresh"]
    assert page.link("Revoke Fresh") == url_of("key_revoke", fresh.key_id)
    assert page.link("Get a new secret") == url_of("key_renew", fresh.key_id)
    assert page.link("Edit Fresh") == url_of("key_edit", fresh.key_id)
    assert actions(detail(mara, stored)) == ["Rotate Stored", "Edit Stored", "Pause Stored", "Revoke Stored"]


def test_an_agent_key_s_page_leads_back_to_its_tab(mara: Client, make: MakeKey) -> None:
    page = detail(mara, make("Release agent", type=KeyType.AGENT).key)
    assert page.link("Agent keys") == url_of("agent_list")
    assert page.title == "Release agent · Agent keys · Acme · Keyrack"


def test_an_operator_is_offered_to_edit_their_own_alone(operator: User, make: MakeKey) -> None:
    client = signed_in(operator)
    mine = actions(detail(client, make("Mine", by=operator).key))
    assert mine == ["Rotate Mine", "Edit Mine", "Pause Mine", "Revoke Mine"]
    assert actions(detail(client, make("Theirs").key)) == ["Pause Theirs", "Revoke Theirs"]


def test_a_viewer_is_offered_nothing(viewer: User, make: MakeKey, project: Project) -> None:
    client = signed_in(viewer)
    assert actions(detail(client, make(confirmed=False).key)) == []
    assert actions(detail(client, project.keys.get(type=KeyType.SYSTEM))) == []


def test_the_automator_key_is_protected_and_renewed_by_admins(
    owner: User, admin: User, operator: User, project: Project
) -> None:
    automator = project.keys.get(type=KeyType.SYSTEM)
    for person, offered in ((owner, ["Renew"]), (admin, ["Renew"]), (operator, [])):
        page = detail(signed_in(person), automator)
        assert page.one("span", class_="protected").text == "Protected"
        assert page.one("span", class_="protected").attrs["title"] == (
            "Created with the project. It can't be revoked."
        )
        assert actions(page) == offered


@pytest.mark.parametrize(
    "key_id", ["A" * 12, "short", "A" * 13, "%00", "A" * 11 + "%00", TOKEN, "a.b", "új"], ids=repr
)
def test_there_is_no_page_of_no_key(mara: Client, way: dict[str, str], key_id: str) -> None:
    response = mara.get(f"{url_of('key_list')}{key_id}/", headers=way)
    assert response.status_code == 404
    page = Page(response)
    assert "We can't find that. It may be in another project, or gone." in page.texts("p")
    assert TOKEN[20:39] not in page.source


# Use


def test_it_draws_thirty_days_and_shows_them_as_a_table(
    mara: Client, make: MakeKey, monkeypatch: pytest.MonkeyPatch, at: datetime
) -> None:
    monkeypatch.setattr("keys.views.keys.timezone.now", lambda: at)
    key = make().key
    for ago, outcome, count in ((0, "valid", 1200), (2, "valid", 4), (2, "scope-missing", 3)):
        DayCount.objects.create(key=key, day=(at - timedelta(days=ago)).date(), outcome=outcome, count=count)
    page = detail(mara, key)
    assert page.one("svg", role="img").attrs["aria-label"] == "1,204 allowed and 3 refused in 30 days"
    assert "Refused: 3 without the scope." in page.content.text
    assert page.one("summary", "Show as table")
    rows = page.rows("Checks of the last 30 days (UTC)")
    assert len(rows) == 30
    assert [rows[2][column].text for column in ("Day", "Allowed", "Refused")] == [
        Moment.of(at - timedelta(days=2)).day, "4", "3",
    ]  # fmt: skip
    assert "style=" not in page.source


def test_it_tells_used_and_unused_scopes_and_where_calls_come_from(
    mara: Client, make: MakeKey, at: datetime
) -> None:
    issued = make(scopes=["sources:read", "chat:read"])
    for _ in range(2):
        check(issued.token, at=at, scopes=["sources:read"], source=Source("192.0.2.41", "<b>curl"))
    check(issued.token, at=at, source=Source("192.0.2.7", "curl"))
    activity.flush()
    page = detail(mara, issued.key)
    told = {pair.one("dt").text: pair.one("dd").text for pair in page.find("dl")[1].find("div")}
    assert told == {"Used": f"sources:read last on {Moment.of(at).day}", "Unused": "chat:read"}
    rows = page.rows("Where calls come from, the last first")
    assert {row["From"].text: (row["Client"].text, row["Uses"].text) for row in rows} == {
        "192.0.2.41": ("<b>curl", "2"),
        "192.0.2.7": ("curl", "1"),
    }


def test_of_a_key_that_was_never_used_it_says_so(mara: Client, make: MakeKey) -> None:
    page = detail(mara, make().key)
    told = {pair.one("dt").text: pair.one("dd").text for pair in page.find("dl")[1].find("div")}
    assert told == {"Used": "None yet", "Unused": "sources:read"}
    assert "No calls yet." in page.content.text
    assert page.one("svg", role="img").attrs["aria-label"] == "0 allowed and 0 refused in 30 days"


def test_an_old_key_says_whether_it_may_stop(
    mara: Client, make: MakeKey, project: Project, owner: User
) -> None:
    issued = make()
    now = timezone.now()
    rotate(project, issued.key.key_id, grace=timedelta(days=1), actor=acting(owner, project), at=now)
    told = facts(detail(mara, issued.key))["Works until"]
    assert told.endswith(", 0 requests in the last hour: safe to stop")
    check(issued.token, at=now, source=Source("192.0.2.41", "curl"))
    activity.flush()
    assert facts(detail(mara, issued.key))["Works until"].endswith(", still used by 192.0.2.41")
