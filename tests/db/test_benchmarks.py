"""tests/benchmarks at the smallest size: what they measure runs, and is what they say. Without the peers."""

import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.core.management import call_command
from django.utils import timezone

from keys.forms import FILTERS, ListForm
from keys.gate import Gate
from keys.kinds import KeyType
from keys.listing import AGENT_KEYS, PROJECT_KEYS, Listing
from keys.management.commands import seed
from keys.verification import Outcome, check
from projects.access import Access
from projects.audit import Actor
from projects.models import Project, Role, User
from tests.benchmarks import contestants, reach_cases
from tests.benchmarks.alike import AlikeInventor
from tests.benchmarks.contestants import KEYRACK, keyrack
from tests.benchmarks.flood import wrong_secrets
from tests.benchmarks.measuring import Options, Pairs, alternating
from tests.benchmarks.served import Failed, heard
from tests.benchmarks.tables import circumstances, table

pytestmark = pytest.mark.django_db


def authorize(token: str) -> str:
    """The status of what the load generator asks."""
    path, _, query = KEYRACK.path.partition("?")
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": query, "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1", "HTTP_AUTHORIZATION": KEYRACK.scheme + token, "wsgi.input": io.BytesIO(),
    }  # fmt: skip

    def refuse_to_go_on(*_: Any) -> Any:
        raise AssertionError("not answered by the gate")

    Gate(refuse_to_go_on)(environ, lambda status, _headers: said.append(status))
    return said[0]


def test_every_key_that_is_measured_passes_in_process_and_at_the_gate() -> None:
    tokens = keyrack.seed(20, 5)
    assert len(set(tokens)) == 5
    checked = keyrack.checking()
    for token in tokens:
        checked(token)
        assert authorize(token) == "200 OK"


def test_the_flood_is_of_secrets_that_only_the_hash_can_tell() -> None:
    tokens = keyrack.seed(4, 2)
    for good, wrong in zip(tokens, wrong_secrets(tokens), strict=True):
        assert good[:20] == wrong[:20]
        assert check(wrong, at=datetime.now(UTC)).outcome is Outcome.UNKNOWN
        assert authorize(wrong) == "401 Unauthorized"
        with pytest.raises(AssertionError):
            keyrack.checking()(wrong)


def test_each_contestant_has_its_module() -> None:
    folder = Path(contestants.__path__[0])
    for module in contestants.EVERYBODY:
        source = (folder / f"{module}.py").read_text()
        compile(source, module, "exec")
        assert all(part in source for part in ("seed", "checking", "application"))


def test_pairs_alternate_and_the_median_of_their_ratios_counts() -> None:
    order: list[str] = []
    rates = iter([10.0, 5.0, 4.0, 12.0, 30.0, 3.0])

    def side(name: str) -> float:
        order.append(name)
        return next(rates)

    pairs = alternating(lambda: side("ours"), lambda: side("theirs"), 3)
    assert order == ["ours", "theirs", "theirs", "ours", "ours", "theirs"]
    assert pairs == Pairs([10, 12, 30], [5, 4, 3])
    assert pairs.ratio == 3
    assert str(pairs) == "3.00 (2.00 to 10.00); 12 and 4 a second"


def test_what_was_answered_otherwise_is_not_measured() -> None:
    good = {"requests": 10, "seconds": 2.0, "refused": 0, "failed": 0}
    assert heard(good, refused=False) == 5
    assert heard(good | {"refused": 10}, refused=True) == 5
    for wrong in ({"refused": 1}, {"failed": 1}, {"requests": 0}):
        with pytest.raises(Failed):
            heard(good | wrong, refused=False)
    with pytest.raises(Failed):
        heard(good | {"refused": 9}, refused=True)


def test_the_table_has_a_row_for_each_peer_and_a_column_for_each_database() -> None:
    pairs = Pairs([10], [5])
    rows = table({"HTTP": {"SQLite": {"a": pairs, "b": pairs}, "PostgreSQL": {"a": pairs}}}).splitlines()
    cell = "2.00 (2.00 to 2.00); 10 and 5 a second"
    assert rows == [
        "| | SQLite | PostgreSQL |", "|---|---|---|", "| **HTTP** | | |",
        f"| a | {cell} | {cell} |", f"| b | {cell} | – |",
    ]  # fmt: skip
    said = circumstances(Options(100_000, 1000, 5, 2), datetime(2026, 11, 21, tzinfo=UTC))
    assert said.startswith("Measured on 21 November 2026: ")
    assert "100,000 keys" in said


def test_every_sort_and_filter_of_the_console_is_compared_between_sizes() -> None:
    types = [kind for kind in PROJECT_KEYS.types if kind != KeyType.SYSTEM]
    offered = ListForm(dict.fromkeys([*FILTERS, "sort"], ""), types=types)
    queries = [dict(parse_qsl(urlsplit(case.url).query)) for case in reach_cases.cases()]
    for name in [*offered.filters, "sort"]:
        field: Any = offered.fields[name]
        values = [value for value, _ in getattr(field, "choices", [("1", "")]) if value]
        assert {query.get(name) for query in queries if len(query) == 1} >= set(values), name


def test_at_the_smallest_size_every_filter_and_search_finds_more_than_a_page(owner: User) -> None:
    owner.is_staff = True
    owner.save(update_fields=["is_staff"])
    call_command(type("Seed", (seed.Command,), {"inventor": AlikeInventor})(), keys=1000, project="Northwind")
    project = Project.objects.get(slug="northwind")
    # The first is the owner, the second the first of the invented people.
    visitor = User.objects.filter(memberships__project=project).order_by("pk")[1]
    access = Access(visitor, project, Role.ADMIN)
    for case in reach_cases.cases():
        address = urlsplit(case.address({"person": access.user.public_id}))
        query = dict(parse_qsl(address.query))
        if address.path != reach_cases.LOG and not case.title.startswith("search absent"):
            tab = AGENT_KEYS if address.path == reach_cases.AGENTS else PROJECT_KEYS
            listing = Listing(access, Actor.system(), query, timezone.now(), tab)
            table = listing.revoked() if "rq" in query else listing.table()
            assert table.next, case.title
