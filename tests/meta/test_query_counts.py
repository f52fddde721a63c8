"""The number of queries of a page doesn't grow with what it shows. Here it stands, so that it is seen."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from keys.lifecycle import confirm, renew, revoke
from projects.lifecycle import add_resource
from projects.models import Project, User
from tests.factories import IssuedFactory, MembershipFactory, acting
from tests.web.pages import HTMX, Page, signed_in, url_of

pytestmark = pytest.mark.django_db

# The session, the person, the membership with the project, the two tables; the projects of the switcher.
KEYS_PAGE: Final = 6
KEYS_FRAGMENT: Final = 5
# A search also counts what it found, in one table or the other.
SEARCHED: Final = KEYS_PAGE + 1

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
    return len(captured), Page(response)


@pytest.mark.parametrize("rows", [1, 50])
def test_the_keys_page_takes_as_many_for_fifty_rows_as_for_one(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    count, page = queries(mara, url_of("key_list"))
    assert [len(page.rows(caption)) for caption in page.texts("caption")] == [rows, rows]
    assert count == KEYS_PAGE


@pytest.mark.parametrize("rows", [1, 50])
def test_its_fragment_takes_no_more(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    assert queries(mara, url_of("key_list"), HTMX)[0] == KEYS_FRAGMENT


@pytest.mark.parametrize("rows", [2, 50])
def test_a_search_takes_one_more(mara: Client, fill: Fill, rows: int) -> None:
    fill(rows)
    assert queries(mara, f"{url_of('key_list')}?q=docs&sort=name&type=restricted")[0] == SEARCHED


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
    assert len(page.one("ol").find("li")) == 22
    assert after == before


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
    assert queries(mara, filtered)[0] == AUDIT_PAGE
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
