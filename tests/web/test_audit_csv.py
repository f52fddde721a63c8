"""The audit log as a file: what the filters show, written while it is read."""

import csv
import gzip
import io
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from projects.audit import Actor, log
from projects.lifecycle import rename_project
from projects.models import AuditEvent, Project, User
from projects.moments import timestamp
from tests.factories import IssuedFactory, acting
from tests.web.pages import Page, signed_in, url_of

pytestmark = pytest.mark.django_db

HOSTILE = [
    "=HYPERLINK(\"http://evil.test\")", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1+1", "＠x",
    "\u200b=1",
]  # fmt: skip


@pytest.fixture
def vera(viewer: User) -> Client:
    return signed_in(viewer)


def download(client: Client, query: str = "", **headers: str) -> Any:
    return client.get(f"{url_of('audit_csv')}{query}", headers=headers)


def body(response: Any) -> bytes:
    assert response.streaming
    return b"".join(response.streaming_content)


def read(response: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(body(response).decode(), newline=""), strict=True))


def test_it_is_a_file_named_after_the_project_and_the_day(vera: Client, at: datetime) -> None:
    response = download(vera)
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8; header=present"
    assert response["Content-Disposition"] == f'attachment; filename="acme-audit-log-{at:%Y-%m-%d}.csv"'
    assert "no-store" in response["Cache-Control"]
    assert "Content-Length" not in response


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "owner"])
def test_every_member_may_have_it(request: pytest.FixtureRequest, role: str) -> None:
    assert read(download(signed_in(request.getfixturevalue(role))))[-1]["verb"] == "project.created"


def test_each_event_is_a_line(vera: Client, project: Project, owner: User, at: datetime) -> None:
    by = acting(owner, project, "192.0.2.41")
    key = IssuedFactory(project=project, actor=by, at=at, name="Überprüfer").key
    rows = read(download(vera))
    assert [row["number"] for row in rows] == ["3", "2", "1"]
    assert rows[0] == {
        "number": "3", "time": timestamp(at), "who": "Mara Lindqvist", "who_kind": "person",
        "who_id": str(owner.pk), "verb": "key.issued", "what": "created Überprüfer", "object": "Überprüfer",
        "object_kind": "key", "object_id": key.key_id,
        "changes": "environment: live; scopes: sources:read; type: restricted", "address": "192.0.2.41",
    }  # fmt: skip
    assert rows[0]["time"].endswith("Z")


def test_it_has_what_the_filters_show(vera: Client, project: Project, at: datetime) -> None:
    for number in range(60):
        rename_project(project, f"Acme {number}", actor=Actor.system(), at=at)
    IssuedFactory(project=project)
    page = Page(vera.get(f"{url_of('audit_log')}?what=project.renamed"))
    link = page.link("Download CSV")
    assert link == f"{url_of('audit_csv')}?what=project.renamed"
    rows = read(vera.get(link))
    # All of them, not the page.
    assert [row["changes"] for row in rows][:2] == ["name: Acme 58 → Acme 59", "name: Acme 57 → Acme 58"]
    assert len(rows) == 60
    assert read(download(vera, "?who=Nobody")) == []


def test_no_other_project_s_events_are_in_it(vera: Client, project: Project) -> None:
    IssuedFactory(name="Elsewhere")
    assert b"Elsewhere" not in body(download(vera))


@pytest.mark.parametrize("label", HOSTILE)
def test_what_a_spreadsheet_would_run_is_quoted_wherever_people_write(
    vera: Client, project: Project, at: datetime, label: str
) -> None:
    with log(project.pk, Actor("person", "1", label, 10, label), at) as written:  # type: ignore[arg-type]
        written.record("thing.done", "thing", label, label, reason=label)
    (row, *_) = read(download(vera))
    for name in ("who", "object", "object_id", "address"):
        assert row[name] == f"'{label}"
    for name in ("what", "changes"):
        assert not row[name].lstrip().startswith(("=", "+", "-", "@"))


def test_a_name_does_not_leave_its_cell(vera: Client, project: Project, at: datetime) -> None:
    with log(project.pk, Actor.system(), at) as written:
        written.record("thing.done", "thing", "x", 'a","b"\r\n=1', reason="one\ntwo")
    rows = read(download(vera))
    assert rows[0]["object"] == 'a","b"\r\n=1'
    assert len(rows) == 3


@pytest.fixture
def long(project: Project, at: datetime) -> Project:
    AuditEvent.objects.bulk_create(
        AuditEvent(
            project_id=project.pk, number=n, at=at - timedelta(minutes=n), mac="0" * 64, actor_kind="system",
            actor_label="system", verb="key.issued", object_kind="key", object_id=f"{n:012}",
            object_label="x" * 50,
        )
        for n in range(100, 2600)
    )  # fmt: skip
    return project


def test_nothing_is_read_before_it_is_wanted_and_then_in_pieces(vera: Client, long: Project) -> None:
    with CaptureQueriesContext(connection) as before:
        response = download(vera, "?what=key.issued")
    assert not any("auditevent" in query["sql"] for query in before)
    lines: Iterator[bytes] = iter(response.streaming_content)
    with CaptureQueriesContext(connection) as first:
        next(lines)
        next(lines)
    assert len(first) == 1
    with CaptureQueriesContext(connection) as rest:
        assert len(list(lines)) == 2500
    # Each a query of its own, and no transaction around them.
    assert len(rest) == 2
    assert all(query["sql"].startswith("SELECT") for query in rest)


def test_it_is_compressed_on_the_way(vera: Client, long: Project) -> None:
    plain, packed = body(download(vera)), download(vera, **{"Accept-Encoding": "gzip"})
    assert packed["Content-Encoding"] == "gzip"
    bytes_sent = body(packed)
    assert gzip.decompress(bytes_sent) == plain
    assert len(bytes_sent) < len(plain) / 5


def test_to_head_it_says_what_it_is_and_reads_nothing(vera: Client, long: Project) -> None:
    with CaptureQueriesContext(connection) as queries:
        response = vera.head(url_of("audit_csv"))
        assert b"".join(response.streaming_content) == b""  # type: ignore[attr-defined]
    assert response["Content-Disposition"].startswith("attachment")
    assert not any("auditevent" in query["sql"] for query in queries)


@pytest.mark.parametrize("query", ["?what=colour", "?since=x", "?key=1"])
def test_an_address_that_asks_for_nothing_we_have_is_no_file(
    vera: Client, project: Project, query: str
) -> None:
    response = download(vera, query)
    assert response.status_code == 400
    assert "Content-Disposition" not in response
    assert "This link asks for something that isn't here." in Page(response).one(class_="note").text


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_it_is_only_read(vera: Client, method: str) -> None:
    assert getattr(vera, method)(url_of("audit_csv")).status_code == 405
