"""How the tests are spread over processes, where pytest runs with `-n`: file by file, the longest first.

A plugin of pytest: `tests/conftest.py` names it in `pytest_plugins`.
"""

from collections.abc import Generator
from typing import Any, Final

import pytest

# These start servers, or go through the whole product in one test. Begun last, they would be waited for.
_LONG: Final = ("tests/meta/", "tests/cli/", "tests/api/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object | None:
    """Spread by file where no other way was asked for (`load` is what `-n` alone chooses)."""
    if config.getoption("dist") not in ("load", "loadfile"):
        return None
    # Without `-n` the tests run where pytest-xdist isn't installed, too.
    from tests.by_file import ByFile

    # In the order below, and not the files with the most tests first.
    config.option.loadscopereorder = False
    return ByFile(config, log)


# After pytest-django, which puts the tests that commit behind all others: within a file that order stays.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("numprocesses", 0) or hasattr(config, "workerinput"):
        root = config.rootpath
        items.sort(key=lambda item: not item.path.relative_to(root).as_posix().startswith(_LONG))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Send no lines that a test has logged where nobody will read them: it passed."""
    report = yield
    is_shown = not report.passed or set("PA") & set(item.config.option.reportchars)
    if hasattr(item.config, "workerinput") and not is_shown:
        report.sections.clear()
    return report
