"""The number of queries of a page doesn't grow with what it shows. Here it stands, so that it is seen."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys.kinds import KeyType
from keys.lifecycle import confirm, renew, revoke, rotate
from keys.models import DayCount, ScopeUse, SourceUse
from projects.audit import Actor
from projects.catalogue import add_resource
from projects.models import Project, User
from tests.factories import (
    ChannelFactory,
    IssuedFactory,
    MembershipFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    acting,
    invited,
)
from tests.web.pages import HTMX, Page, signed_in, url_of

pytestmark = pytest.mark.django_db

# The session, the person, the membership with the project; the keys, those that are being replaced, the use
# of both, those that were revoked; the projects of the switcher.
KEYS_PAGE: Final = 8
KEYS_FRAGMENT: Final = 7
# A search asks its index, leaves what the filters leave, and fetches a page of that.
SEARCHED = KEYS_PAGE + 2
# PostgreSQL looks first at the newest names, whether the word is a common one.
if connection.vendor == "postgresql":
    SEARCHED += 1
# As the keys page; but the members, what they made, what of that was revoked, and who is invited.
MEMBERS_PAGE: Final = 8

# The session, the person, the membership; the provider keys, who uses them, the upstreams, and what can be
# selected; the projects of the switcher.
PROVIDERS_PAGE: Final = 8
# Without what can be selected.
PROVIDERS_PAGE_READ: Final = PROVIDERS_PAGE - 1

# The session, the person, the membership with the project, the events; the suggested members, the switcher.
AUDIT_PAGE: Final = 6
AUDIT_FRAGMENT: Final = 4
# The session, the person, the membership with the project, the catalogue, the switcher.
GENERAL_PAGE: Final = 5

Fill = Callable[[int], None]


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def fill(project: Project, owner: User, operator: User, at: datetime) -> Fill:
    """Give each of the two tables so many rows, of two people."""
    people = [acting(owner, project), acting(operator, project)]

    def fill(rows: int) -> None:
        for number in range(2 * rows - 1):
            made = at - timedelta(hours=1) + timedelta(seconds=number)
            issued = IssuedFactory(project=project, actor=people[number % 2], at=made, name=f"Docs {number}")
            if number >= rows - 1:
                revoke(project, issued.key.key_id, actor=people[0], at=at)

    return fill


def queries(client: Client, url: str, headers: dict[str, str] | None = None) -> tuple[int, Page]:
    with CaptureQueriesContext(connection) as captured:
        response = client.get(url, headers=headers or {})
    assert response.status_code == 200
    # PostgreSQL is told how to plan some of them.
    asked = [query for query in captured if not query["sql"].startswith(("SET ", "SAVEPOINT", "RELEASE"))]
    return len(asked), Page(response)


@pytest.mark.parametrize("rows", [1, 50])
def test_the_keys_page_takes_as_many_for_fifty_rows_as_for_one(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    count, page = queries(mara, url_of("key_list"))
    assert [len(page.rows(caption)) for caption in page.texts("caption")] == [rows, rows]
    assert count == KEYS_PAGE


@pytest.mark.parametrize("rows", [1, 50])
def test_the_tab_of_agent_keys_takes_as_many(
    mara: Client, project: Project, owner: User, at: datetime, fill: Fill, rows: int
) -> None:
    # What stands in the other tab costs nothing here.
    fill(rows)
    people = acting(owner, project)
    for number in range(2 * rows):
        agent = {"name": f"Agent {number}", "type": KeyType.AGENT, "actor": people}
        key = IssuedFactory(project=project, at=at, **agent).key
        if number >= rows:
            revoke(project, key.key_id, actor=people, at=at)
    url = url_of("agent_list")
    count, page = queries(mara, url)
    assert [len(page.rows(caption)) for caption in page.texts("caption")] == [rows, rows]
    assert count == KEYS_PAGE
    assert queries(mara, url, HTMX)[0] == KEYS_FRAGMENT
    assert queries(mara, f"{url}?q=agent&sort=name&status=unconfirmed")[0] == SEARCHED - 1


def test_a_pasted_key_of_the_other_tab_takes_one_more(
    mara: Client, project: Project, at: datetime, fill: Fill
) -> None:
    fill(1)
    key = IssuedFactory(project=project, at=at, type=KeyType.AGENT).key
    # Is it among the revoked keys? In which tab is it, then?
    found, _ = queries(mara, f"{url_of('agent_list')}?key={key.key_id}")
    elsewhere, page = queries(mara, f"{url_of('key_list')}?key={key.key_id}")
    assert "it is under Agent keys" in page.content.text
    # And no row whose use is to be drawn.
    assert elsewhere == found + 2 - 1


@pytest.mark.parametrize("rows", [1, 50])
def test_its_fragment_takes_no_more(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    assert queries(mara, url_of("key_list"), HTMX)[0] == KEYS_FRAGMENT


@pytest.mark.parametrize("rows", [2, 50])
def test_a_search_takes_two_more(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    assert queries(mara, f"{url_of('key_list')}?q=docs&sort=name&type=restricted")[0] == SEARCHED


@pytest.fixture
def stock(project: Project) -> Fill:
    """Give the project so many provider keys, and as many upstreams, each with a provider key of its own."""

    def stock(rows: int) -> None:
        for _ in range(rows):
            UpstreamFactory(project=project, provider_key=ProviderKeyFactory(project=project).public_id)

    return stock


@pytest.mark.parametrize("rows", [1, 50])
def test_the_page_of_provider_keys_takes_as_many_for_fifty_rows_as_for_one(
    mara: Client, viewer: User, stock: Fill, rows: int
) -> None:
    stock(rows)
    count, page = queries(mara, url_of("provider_key_list"))
    assert [len(page.rows(caption)) for caption in page.texts("caption")] == [rows, rows]
    assert count == PROVIDERS_PAGE
    assert queries(mara, url_of("provider_key_list"), HTMX)[0] == PROVIDERS_PAGE - 1
    assert queries(signed_in(viewer), url_of("provider_key_list"))[0] == PROVIDERS_PAGE_READ
    # A search also asks whether anything is called so.
    assert queries(mara, f"{url_of('provider_key_list')}?q=key")[0] == PROVIDERS_PAGE + 1


@pytest.mark.parametrize("rows", [1, 50])
def test_keys_that_are_used_and_rotated_take_one_more(
    mara: Client, project: Project, at: datetime, rows: int
) -> None:
    for number in range(rows):
        issued = IssuedFactory(project=project, at=at, name=f"Docs {number}", confirmed=True)
        for outcome in ("valid", "scope-missing"):
            DayCount.objects.create(key=issued.key, day=at.date(), outcome=outcome, count=7)
        if number < 25:
            rotate(project, issued.key.key_id, grace=timedelta(days=7), actor=Actor.system(), at=at)
    count, page = queries(mara, url_of("key_list"))
    assert len(page.find("svg", class_="spark")) == min(50, rows + min(rows, 25) + 1)
    assert count == KEYS_PAGE + 1


@pytest.mark.parametrize("rows", [1, 50])
def test_a_keys_own_page_takes_as_many_for_much_use_as_for_little(
    mara: Client, project: Project, at: datetime, rows: int
) -> None:
    key = IssuedFactory(project=project, at=at).key
    url = url_of("key_detail", key.key_id)
    before, _ = queries(mara, url)
    for number in range(rows):
        place = {"address": f"192.0.2.{number}", "client": "curl", "count": 1}
        SourceUse.objects.create(key=key, first_used_at=at, last_used_at=at, **place)
        ScopeUse.objects.create(key=key, scope=f"sources:s{number}", last_used_on=at.date())
        DayCount.objects.create(key=key, day=at.date() - timedelta(days=number), outcome="valid", count=1)
    assert queries(mara, url)[0] == before


def test_a_keys_own_page_takes_as_many_for_a_long_life_as_for_a_short_one(
    mara: Client, project: Project, owner: User, at: datetime
) -> None:
    key = IssuedFactory(project=project, at=at).key
    url = url_of("key_detail", key.key_id)
    before, _ = queries(mara, url)
    actor = acting(owner, project)
    for _ in range(20):
        key = renew(project, key.key_id, actor=actor, at=at, version=key.version).key
    confirm(project, key.key_id, actor=actor, at=at)
    after, page = queries(mara, url)
    assert len(page.one("ol", class_="timeline").find("li")) == 22
    assert after == before


# The session, the person, the membership with the project, the channels, their keys counted; the switcher.
CHANNELS_PAGE: Final = 6
# The same, with one channel and its keys in place of the channels and their counts.
CHANNEL_KEYS_PAGE: Final = 6
# In the dialog no switcher, but the count for the list behind.
CHANNEL_KEYS_DIALOG: Final = 6


@pytest.mark.parametrize("rows", [1, 50])
def test_the_channels_take_as_many_for_fifty_rows_as_for_one(
    mara: Client, project: Project, rows: int
) -> None:
    for number in range(rows):
        ChannelFactory(project=project, slug=f"bot-{number}")
        for holder in ("Nora", "Ben"):
            held = {"type": "channel", "channel": f"bot-{number}", "holder": holder}
            IssuedFactory(project=project, **held)
    count, page = queries(mara, url_of("channel_list"))
    assert [row["Keys"].text for row in page.rows("Channels, by name")] == ["2"] * rows
    assert count == CHANNELS_PAGE
    assert queries(mara, url_of("channel_list"), HTMX)[0] == CHANNELS_PAGE - 1


@pytest.mark.parametrize("rows", [1, 50])
def test_the_keys_of_a_channel_take_as_many_for_fifty_rows_as_for_one(
    mara: Client, project: Project, owner: User, rows: int
) -> None:
    ChannelFactory(project=project, slug="bot", name="Bot")
    for number in range(rows):
        held = {"type": "channel", "channel": "bot", "holder": f"Shop {number}"}
        IssuedFactory(project=project, actor=acting(owner, project), **held)
    url = url_of("channel_keys", "bot")
    count, page = queries(mara, url)
    assert len(page.rows("API keys for Bot, newest first")) == rows
    assert count == CHANNEL_KEYS_PAGE
    behind = HTMX | {"HX-Current-URL": f"http://testserver{url_of('channel_list')}"}
    assert queries(mara, url, behind)[0] == CHANNEL_KEYS_DIALOG


@pytest.mark.parametrize("rows", [1, 50])
def test_keys_of_channels_cost_the_keys_page_nothing(mara: Client, project: Project, rows: int) -> None:
    for number in range(rows):
        ChannelFactory(project=project, slug=f"bot-{number}")
        IssuedFactory(project=project, type="channel", channel=f"bot-{number}", holder="Nora")
    assert queries(mara, url_of("key_list"))[0] == KEYS_PAGE


@pytest.fixture
def crowd(project: Project, owner: User, at: datetime) -> Fill:
    """Give the project so many members, each with a key and one that was revoked, and invitations."""

    def crowd(rows: int) -> None:
        for number in range(rows - 1):
            user = MembershipFactory(project=project).user
            keys = [IssuedFactory(project=project, actor=acting(user, project), at=at) for _ in range(2)]
            revoke(project, keys[0].key.key_id, actor=acting(owner, project), at=at)
            invited(project, owner, f"i{number}@example.test", at=at)
        invited(project, owner, at=at)

    return crowd


@pytest.mark.parametrize("rows", [1, 50])
def test_the_members_page_takes_as_many_for_fifty_rows_as_for_one(
    mara: Client, crowd: Fill, rows: int
) -> None:
    crowd(rows)
    count, page = queries(mara, url_of("member_list"))
    assert [len(page.rows(caption)) for caption in page.texts("caption")] == [rows, rows]
    assert count == MEMBERS_PAGE
    assert queries(mara, url_of("member_list"), HTMX)[0] == MEMBERS_PAGE - 1


@pytest.mark.parametrize("rows", [2, 50])
def test_the_keys_of_somebody_take_three_more(
    mara: Client, project: Project, operator: User, at: datetime, rows: int
) -> None:
    for _ in range(rows):
        IssuedFactory(project=project, actor=acting(operator, project), at=at)
    count, page = queries(mara, f"{url_of('key_list')}?by={operator.public_id}")
    assert len(page.rows(page.texts("caption")[0])) == rows
    # The person; what they made and what was shown to them, in both sets of keys; and the rows.
    assert count == KEYS_PAGE + 3


@pytest.mark.parametrize("rows", [1, 12])
def test_removing_somebody_takes_as_many_for_many_keys(
    mara: Client, project: Project, operator: User, at: datetime, rows: int
) -> None:
    for _ in range(rows):
        IssuedFactory(project=project, actor=acting(operator, project), at=at)
    count, page = queries(mara, url_of("member_remove", operator.public_id))
    assert len(page.one("ul", class_="issued").find("li")) == min(rows, 11)
    # The member, their second factor for the form, the keys that are named, and how many each tab has; the
    # rest is everybody's.
    assert count == 4 + 5


@pytest.mark.parametrize("many", [2, 13])
def test_the_list_of_projects_takes_as_many_for_many(owner: User, mara: Client, many: int) -> None:
    for _ in range(many):
        MembershipFactory(user=owner)
    assert queries(mara, "/projects/")[0] == 4


@pytest.mark.parametrize("rows", [1, 49])
def test_the_audit_log_takes_as_many_for_fifty_rows_as_for_three(
    mara: Client, project: Project, at: datetime, rows: int
) -> None:
    made = [IssuedFactory(project=project, at=at, name=f"Docs {number}").key for number in range(rows)]
    url = url_of("audit_log")
    count, page = queries(mara, url)
    assert len(page.rows("Audit log, newest first")) == min(rows + 2, 50)
    assert count == AUDIT_PAGE
    assert queries(mara, url, HTMX)[0] == AUDIT_FRAGMENT
    filtered = f"{url}?who=system&what=key&key={made[0].key_id}&since=2026-01-01&until=2126-01-01"
    # One more to learn whether one of several filters leaves few.
    assert queries(mara, filtered)[0] == AUDIT_PAGE + 1
    # One more to find the place in the list, and one to learn whether a key has done anything.
    assert queries(mara, f"{url}?after=2")[0] == AUDIT_PAGE + 1
    assert queries(mara, f"{url}?who={made[0].key_id}")[0] == AUDIT_PAGE + 1


@pytest.mark.parametrize("rows", [1, 50])
def test_general_settings_take_as_many_for_many_resources(
    mara: Client, project: Project, owner: User, at: datetime, rows: int
) -> None:
    project.resources.all().delete()
    actor = acting(owner, project)
    for number in range(rows):
        add_resource(project, f"resource-{number}", ["read"], actor=actor, at=at)
    count, page = queries(mara, url_of("project_general"))
    assert len(page.rows("Scope catalogue")) == rows
    assert count == GENERAL_PAGE
