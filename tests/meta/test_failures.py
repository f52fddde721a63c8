"""What `python -m tests` says at its end of the tests that failed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import failures
from tests.__main__ import Outcome, _summary
from tests.failures import Failure

pytestmark = pytest.mark.one_database

ROOT = Path(__file__).parents[2]

FAILING = """
import pytest

def test_well():
    pass

@pytest.mark.parametrize("number", [4, 5])
def test_badly(number):
    assert number == 3, "first\\nsecond"

@pytest.fixture
def broken():
    raise ValueError("no")

def test_without_its_fixture(broken):
    pass
"""


def kept(folder: Path, *options: str) -> list[Failure]:
    """Run the tests of a folder as a pass runs them, but without Django; return what is kept of them."""
    file = folder / "failures.json"
    command = [sys.executable, "-m", "pytest", "-c", "/dev/null", f"--rootdir={folder}", str(folder)]
    command += ["-p", "no:cacheprovider", "-p", "xdist", "-p", "tests.failures", f"--failures={file}"]
    # Other plugins have nothing to do here, and take seconds to read.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run([*command, *options], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode != 0, done.stdout
    return sorted(failures.read(file), key=lambda failure: failure.test)


@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two"])
def test_each_failure_is_kept_with_its_reason_and_its_end(tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "test_it.py").write_text(FAILING)
    four, five, unfixed = kept(tmp_path, *options)
    assert four.test == "test_it.py::test_badly[4]"
    assert four.reason == "AssertionError: first"
    assert four.lines[-1].endswith("test_it.py:9: AssertionError")
    assert five.test == "test_it.py::test_badly[5]"
    assert (unfixed.test, unfixed.reason) == (
        "test_it.py::test_without_its_fixture (setup)",
        "ValueError: no",
    )


def test_a_file_that_cannot_be_read_is_kept(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import nothing_of_this_name\n")
    (failure,) = kept(tmp_path)
    assert failure.test == "test_it.py"
    assert "nothing_of_this_name" in failure.reason


def test_a_process_that_dies_is_kept_with_its_test(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text("import os\ndef test_death():\n    os._exit(3)\n")
    (failure,) = kept(tmp_path, "-n", "1", "--max-worker-restart=0")
    assert "test_it.py::test_death" in failure.reason


def test_the_end_names_every_pass_and_every_failure(capsys: pytest.CaptureFixture[str]) -> None:
    failed = [Failure(f"tests/test_it.py::test_{n}", f"reason {n}", ["the", f"end {n}"]) for n in range(12)]
    outcomes = {"SQLite": Outcome(0, 3.2, []), "PostgreSQL": Outcome(1, 61, failed)}
    assert _summary(outcomes) == 1
    said = capsys.readouterr().out.splitlines()
    assert said[-2:] == ["SQLite: passed in 3 s", "PostgreSQL: FAILED (1) in 61 s"]
    assert said[-15:-3] == [f"FAILED PostgreSQL: tests/test_it.py::test_{n} - reason {n}" for n in range(12)]
    assert "end 9" in said
    assert "end 10" not in said


def test_what_is_kept_of_a_long_output_has_the_first_names(capsys: pytest.CaptureFixture[str]) -> None:
    failed = [Failure(f"test_{n}", "reason", ["end"]) for n in range(100)]
    _summary({name: Outcome(1, 1, failed) for name in ("SQLite, browser", "SQLite", "PostgreSQL")})
    said = capsys.readouterr().out.splitlines()[-40:]
    assert "FAILED SQLite, browser: test_0 - reason" in said
    assert "… and 275 more" in said


def test_a_pass_that_ends_without_a_failed_test_shows_its_last_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _summary({"SQLite": Outcome(4, 1, [], ["ERROR: no such option"])}) == 1
    said = capsys.readouterr().out.splitlines()
    assert "ERROR: no such option" in said
    assert said[-1] == "SQLite: FAILED (4) in 1 s"


def test_a_choice_that_is_of_one_pass_leaves_the_others_empty(capsys: pytest.CaptureFixture[str]) -> None:
    assert _summary({"SQLite, browser": Outcome(0, 1, []), "SQLite": Outcome(5, 1, [])}) == 0
    assert _summary({"SQLite": Outcome(5, 1, [])}) == 1
    assert "SQLite: FAILED (5) in 1 s" in capsys.readouterr().out
