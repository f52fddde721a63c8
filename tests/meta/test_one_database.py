"""What runs on one database only: it knows of none, and no pass leaves it out in silence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_database

ROOT = Path(__file__).parents[2]

MIXED = """
import os
import pytest

@pytest.mark.one_database
def test_of_none():
    assert "DATABASE_URL" not in os.environ
    assert "REDIS_URL" not in os.environ

def test_of_both():
    assert os.environ["DATABASE_URL"] == "postgres://one"
"""

ASKING = """
import pytest

@pytest.fixture
def {fixture}():
    pass

@pytest.fixture
def key({fixture}):
    pass

@pytest.mark.one_database
def test_it(key):
    pass
"""


def run(folder: Path, *options: str) -> str:
    """Run the tests of a folder as a pass does, but without Django; return what pytest says."""
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={folder}", str(folder)]
    command += ["-p", "no:cacheprovider", "-p", "xdist", "-p", "tests.one_database"]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment |= {"DATABASE_URL": "postgres://one", "REDIS_URL": "redis://one"}
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two"])
def test_the_second_pass_says_how_many_it_leaves_out(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(MIXED)
    said = run(tmp_path, "--not-again", *options)
    assert "1 passed" in said
    assert "1 tests that say nothing about a database: see the pass before." in said


def test_a_single_pass_has_all_and_names_no_database_to_those_of_none(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(MIXED)
    said = run(tmp_path)
    assert "2 passed" in said
    assert "see the pass before" not in said


@pytest.mark.parametrize("fixture", ["db", "database"])
def test_none_of_them_may_ask_for_a_database(tmp_path: Path, fixture: str) -> None:
    (tmp_path / "test_it.py").write_text(ASKING.format(fixture=fixture))
    assert f"is marked one_database, and asks for {fixture}." in run(tmp_path)


def test_all_of_the_unit_tests_are_of_none(tmp_path: Path) -> None:
    folder = tmp_path / "tests" / "unit"
    folder.mkdir(parents=True)
    (folder / "test_it.py").write_text("def test_it():\n    pass\n")
    assert "1 tests that say nothing about a database: see the pass before." in run(tmp_path, "--not-again")
