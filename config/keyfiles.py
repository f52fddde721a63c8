"""The secrets that Keyrack makes for itself, in files of the data folder.

Each is made once, whole or not at all, readable by its owner only. Losing one is for good (sealed values
don't open any more, the audit log doesn't verify), so it is on the disk before it is first used.
"""

import contextlib
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from django.core.exceptions import ImproperlyConfigured

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class UnusableFolder(ImproperlyConfigured):
    """The data folder, or a secret in it, can't be used; the message says which and why."""


def prepare(folder: Path) -> None:
    """Make the data folder, with mode 0700, where it isn't there yet. Raises UnusableFolder.

    The mode of a folder that exists is left alone: it may be somebody's /srv or /tmp.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _unusable(folder, error) from None


def reserve(path: Path) -> Path:
    """Make an empty file with mode 0600 at `path`, if there is none, and return the path.

    For the SQLite database, which would otherwise get whatever mode the umask leaves. SQLite gives its
    side files the mode of the database. Raises UnusableFolder.
    """
    prepare(path.parent)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise _unusable(path, error) from None
    return path


def secret(folder: Path, name: str, make: Callable[[], str]) -> str:
    """Return the text of the secret file `name`; `make` invents it on the first call ever.

    Two processes that start together get the same text. Raises UnusableFolder.
    """
    path = folder / name
    try:
        if not path.exists():
            prepare(folder)
            _create(path, make())
        return _read(path)
    except OSError as error:
        raise _unusable(path, error) from None


def _create(path: Path, text: str) -> None:
    # Written aside and linked into place: a reader sees no file or a whole one, and of two processes
    # the second finds the name taken and reads what the first has made. mkstemp makes it 0600.
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(aside, path)
    finally:
        Path(aside).unlink()
    _sync(path.parent)


def _read(path: Path) -> str:
    with path.open() as file:
        if os.fstat(file.fileno()).st_mode & _OTHERS:
            raise UnusableFolder(f"{path} can be read by others; run: chmod 600 {path}")
        text = file.read().strip()
    if not text:
        raise UnusableFolder(f"{path} is empty; put it back from a backup")
    return text


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unusable(path: Path, error: OSError) -> UnusableFolder:
    return UnusableFolder(f"KEYRACK_DATA: {path} can't be used: {error.strerror or error}")
