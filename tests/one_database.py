"""Tests that say nothing about a database: where one run tries two of them, only its first pass has them.

A plugin of pytest: `tests/conftest.py` names it in `pytest_plugins`. All of tests/unit are such tests, and
elsewhere those marked `one_database`. That they are is no matter of trust: none may ask for a database, which
pytest-django then refuses them, and to none of them the environment names one, so that the processes which
they start know of none either.
"""

from typing import Any, Final

import pytest

MARK: Final = "one_database"
_LEFT_OUT: Final = pytest.StashKey[int]()
# Whoever asks for one of these asks for a database; `database` is one for processes that a test starts.
_ASKING: Final = {"db", "transactional_db", "live_server", "django_db_setup", "django_db_serialized_rollback"}
_ASKING_FOR_ANOTHER: Final = {"database", "django_db_reset_sequences"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--not-again", action="store_true", help="leave out what says nothing about a database: it ran before"
    )


# After the hook that inserts the fixtures of pages and marks the browser's tests.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    unit = config.rootpath / "tests" / "unit"
    for item in items:
        if item.path.parent == unit:
            item.add_marker(MARK)
    marked = [item for item in items if item.get_closest_marker(MARK)]
    for item in marked:
        if asked := asks_for_a_database(item):
            raise pytest.UsageError(f"{item.nodeid} is marked {MARK}, and asks for {', '.join(asked)}.")
        item.fixturenames.insert(0, "_no_database_is_named")  # type: ignore[attr-defined]
    if config.getoption("--not-again") and marked:
        items[:] = [item for item in items if item.get_closest_marker(MARK) is None]
        config.stash[_LEFT_OUT] = len(marked)
        config.hook.pytest_deselected(items=marked)


def asks_for_a_database(item: pytest.Item) -> list[str]:
    """Return the names by which a test asks for a database, if it does."""
    fixtures: list[str] = getattr(item, "fixturenames", [])
    asked = sorted((_ASKING | _ASKING_FOR_ANOTHER).intersection(fixtures))
    return [*asked, *(["django_db"] if item.get_closest_marker("django_db") else [])]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    # All processes collect the same tests.
    counts = getattr(node, "workeroutput", {})
    node.config.stash[_LEFT_OUT] = max(counts.get(MARK, 0), node.config.stash.get(_LEFT_OUT, 0))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output[MARK] = session.config.stash.get(_LEFT_OUT, 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.line(f"{count} tests that say nothing about a database: see the pass before.")


@pytest.fixture
def _no_database_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
