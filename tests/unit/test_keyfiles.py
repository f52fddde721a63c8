"""config/keyfiles.py: secrets that are made once and read by their owner only."""

import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from config import keyfiles
from config.keyfiles import UnusableFolder


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_it_makes_a_secret_once(tmp_path: Path) -> None:
    assert keyfiles.secret(tmp_path, "a.key", lambda: "first") == "first"
    assert keyfiles.secret(tmp_path, "a.key", lambda: "second") == "first"


def test_only_the_owner_can_read_what_it_makes(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    previous = os.umask(0)
    try:
        keyfiles.secret(folder, "a.key", lambda: "text")
        keyfiles.reserve(folder / "keyrack.sqlite3")
    finally:
        os.umask(previous)
    assert mode(folder) == 0o700
    assert mode(folder / "a.key") == mode(folder / "keyrack.sqlite3") == 0o600


def test_it_leaves_nothing_else_in_the_folder(tmp_path: Path) -> None:
    keyfiles.secret(tmp_path, "a.key", lambda: "text")
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


def test_it_leaves_the_mode_of_a_folder_that_was_there(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    keyfiles.secret(tmp_path, "a.key", lambda: "text")
    assert mode(tmp_path) == 0o755


def test_it_refuses_a_secret_that_others_can_read(tmp_path: Path) -> None:
    keyfiles.secret(tmp_path, "a.key", lambda: "text")
    (tmp_path / "a.key").chmod(0o640)
    with pytest.raises(UnusableFolder, match="chmod 600"):
        keyfiles.secret(tmp_path, "a.key", lambda: "text")


def test_it_refuses_an_empty_secret(tmp_path: Path) -> None:
    keyfiles.reserve(tmp_path / "a.key")
    with pytest.raises(UnusableFolder, match="empty"):
        keyfiles.secret(tmp_path, "a.key", lambda: "text")


def test_it_keeps_a_database_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "keyrack.sqlite3"
    path.write_text("rows")
    assert keyfiles.reserve(path).read_text() == "rows"


def test_it_says_which_folder_it_cannot_use(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(UnusableFolder, match=r"^KEYRACK_DATA: .*/file.*can't be used"):
        keyfiles.secret(file / "data", "a.key", lambda: "text")


def _make(folder: str, number: int) -> str:
    return keyfiles.secret(Path(folder), "a.key", lambda: f"made by {number}")


def test_processes_that_start_together_get_the_same_secret(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    with context.Pool(4) as pool:
        texts = pool.starmap(_make, [(str(tmp_path), number) for number in range(40)], chunksize=1)
    assert len(set(texts)) == 1
