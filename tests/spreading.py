"""How the tests are spread over processes, where pytest runs with `-n`: file by file, the longest first.

A plugin of pytest: `tests/conftest.py` names it in `pytest_plugins`.
"""

from typing import Any, Final
from zlib import crc32

import pytest
from xdist.scheduler import LoadScopeScheduling

# These start servers, or go through the whole product in one test. Begun last, they would be waited for.
_LONG: Final = ("tests/meta/", "tests/cli/", "tests/api/")

# What a file has in common (a module's fixtures, a test that goes on from another) stays in one process.
# In this one nothing is, and it is a third of the browser tests.
_DIVIDED: Final = {"tests/browser/test_every_scene.py": 16}


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        parts = _DIVIDED.get(file, 1)
        return f"{file} {crc32(nodeid.encode()) % parts}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling | None:
    """Spread by file where no other way was asked for (`load` is what `-n` alone chooses)."""
    if config.getoption("dist") not in ("load", "loadfile"):
        return None
    # In the order below, and not the files with the most tests first.
    config.option.loadscopereorder = False
    return _ByFile(config, log)


# After pytest-django, which puts the tests that commit behind all others: within a file that order stays.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("numprocesses", 0) or hasattr(config, "workerinput"):
        root = config.rootpath
        items.sort(key=lambda item: not item.path.relative_to(root).as_posix().startswith(_LONG))
