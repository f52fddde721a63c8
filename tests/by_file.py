"""The scheduler of tests/spreading.py: a file goes to one process as a whole."""

from typing import Final
from zlib import crc32

from xdist.scheduler import LoadScopeScheduling

# What a file has in common (a module's fixtures, a test that goes on from another) stays in one process.
# In this one nothing is, and it is a third of the browser tests.
_DIVIDED: Final = {"tests/browser/test_every_scene.py": 16}


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """Hands out the files in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        parts = _DIVIDED.get(file, 1)
        return f"{file} {crc32(nodeid.encode()) % parts}"
