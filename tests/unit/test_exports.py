"""The cells of the file: what a spreadsheet would run is quoted, all else stays as it is."""

import csv
import io
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from projects.exports import COLUMNS, cell, csv_lines
from projects.models import AuditEvent

FORMULAS = [
    "=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\tx", "\rx", " =1", "  \t @x", "\u00a0=1",
    "\u3000+1", "\u200b=1", "\ufeff-1", "\u202e=1", "＝1+1", "＋1", "－1", "＠x", " ＝1", "﹦1", "﹢1", "﹣1",
    "﹫x", '=HYPERLINK("x")', "=cmd|'/c calc'!A1",
]  # fmt: skip


@pytest.mark.parametrize("text", FORMULAS)
def test_what_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", " ", "Docs crawler", "a=b", "1-2", "a\tb", "(=1)", "’=1", "日本", "a\n=1", "'"]
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert cell(text) == text


def event(**values: object) -> AuditEvent:
    given: dict[str, object] = {
        "number": 7, "at": datetime(2026, 11, 21, 12, 11, tzinfo=UTC), "actor_kind": "person",
        "actor_id": "3", "actor_label": "Mara Lindqvist", "verb": "key.edited", "object_kind": "key",
        "object_id": "7Fq2aB3dE5gH", "object_label": "Docs crawler",
        "changes": {"name": ["Docs", "Docs crawler"]}, "address": "192.0.2.41",
    }  # fmt: skip
    return AuditEvent(**given | values)


def read(*events: AuditEvent) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(events)), newline=""), strict=True))


def test_each_event_is_a_line_under_the_header() -> None:
    lines = list(csv_lines([event(), event()]))
    assert len(lines) == 3
    assert lines[0] == ",".join(f'"{name}"' for name in COLUMNS) + "\r\n"
    assert read(event())[0] == {
        "number": "7", "time": "2026-11-21T12:11:00Z", "who": "Mara Lindqvist", "who_kind": "person",
        "who_id": "3", "verb": "key.edited", "what": "edited Docs crawler", "object": "Docs crawler",
        "object_kind": "key", "object_id": "7Fq2aB3dE5gH", "changes": "name: Docs → Docs crawler",
        "address": "192.0.2.41",
    }  # fmt: skip


@pytest.mark.parametrize("name", ['a","=1', "a\r\n=1", 'a"', ",", ";=1", "a\n\nb"])
def test_a_name_does_not_leave_its_cell(name: str) -> None:
    (row,) = read(event(actor_label=name, object_label=name))
    assert (row["who"], row["object"], row["address"]) == (name, name, "192.0.2.41")


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_no_text_becomes_a_formula_or_is_lost(text: str) -> None:
    (row,) = read(event(actor_label=text, object_label=text, address=text))
    for name in ("who", "object", "address"):
        assert row[name] in (text, f"'{text}")
        assert not row[name].lstrip().startswith(("=", "+", "-", "@"))
        assert row[name][:1] not in ("\t", "\r", "\n")
