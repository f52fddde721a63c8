"""`manage.py keys` as a shell and a person at a terminal run it: real processes, on this run's database."""

import fcntl
import os
import pty
import select
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection

from keys import tokens
from keys.lifecycle import Issued
from keys.management.commands._keys import exits
from keys.models import Key
from keys.verification import Outcome
from projects.models import Project
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db(transaction=True)

ROOT: Final = Path(__file__).parents[2]
MANAGE: Final = [sys.executable, str(ROOT / "manage.py")]

Done = subprocess.CompletedProcess[str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The variables with which another process works on the database and the secrets of this test."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    name = connection.settings_dict["NAME"]
    for secret in ("secret.key", "sealing.keys", "audit.key"):
        (data / secret).symlink_to(settings.KEYRACK_DATA / secret)
    own = {"KEYRACK_DATA": str(data)}
    if url := os.environ.get("DATABASE_URL"):
        own["DATABASE_URL"] = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    else:
        (data / "keyrack.sqlite3").symlink_to(name)
    foreign = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_", "PYTHONIOENCODING")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)} | own


@pytest.fixture
def keys(environment: dict[str, str]) -> Callable[..., Done]:
    """Run the command with its arguments; it must not end in a traceback."""

    def run(*arguments: str, stdin: str = "", **changes: str) -> Done:
        done = subprocess.run(
            [*MANAGE, "keys", *arguments], env=environment | changes, input=stdin, timeout=180,
            capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def shell(environment: dict[str, str]) -> Callable[[str], Done]:
    """Run a line of shell in which `keys` is the command."""

    def run(line: str) -> Done:
        start = f'set -o pipefail; keys() {{ {shlex.join(MANAGE)} keys "$@"; }}; {line}'
        done = subprocess.run(
            ["bash", "-c", start], env=environment, stdin=subprocess.DEVNULL, timeout=180,
            capture_output=True, text=True,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def issued(project: Project) -> Issued:
    return IssuedFactory(project=project, name="Docs crawler")


def test_a_script_keeps_the_token_and_hands_it_on(project: Project, shell: Callable[[str], Done]) -> None:
    done = shell(
        'TOKEN=$(keys issue acme "Docs crawler" --scope sources:read) || exit 99;'
        ' echo "${#TOKEN}"; printf %s "$TOKEN" | keys check --project acme --scope sources:read'
    )
    assert done.returncode == 0
    assert done.stdout.startswith("64\nvalid\n")
    assert done.stderr.startswith("Docs crawler (")


def test_a_script_tells_refusals_apart(issued: Issued, keys: Callable[..., Done]) -> None:
    unknown = tokens.generate("live").text
    for stdin, asked, outcome in (
        (issued.token, [], Outcome.VALID),
        ("nonsense", [], Outcome.MALFORMED),
        (unknown, [], Outcome.UNKNOWN),
        (issued.token, ["--environment", "test"], Outcome.WRONG_ENVIRONMENT),
        (issued.token, ["--scope", "sources:write"], Outcome.SCOPE_MISSING),
    ):
        done = keys("check", *asked, stdin=stdin)
        assert (done.returncode, done.stdout.split("\n")[0]) == (exits.VERDICTS[outcome], outcome)
        assert stdin not in done.stdout + done.stderr
        assert (done.stderr == "") is (outcome is Outcome.VALID)
    assert keys("revoke", "acme", issued.key.key_id).returncode == exits.DONE
    assert keys("check", stdin=issued.token).returncode == exits.VERDICTS[Outcome.REVOKED]
    assert keys("revoke", "acme", issued.key.key_id).returncode == exits.CONFLICT
    assert keys("revoke", "acme", "nope").returncode == exits.REFUSED


def test_a_token_in_an_argument_is_one_line_without_it(issued: Issued, keys: Callable[..., Done]) -> None:
    for asked in (["check", issued.token], ["list", "acme", "--q", issued.token], [issued.token]):
        done = keys(*asked)
        assert (done.returncode, done.stdout) == (exits.MISUSED, "")
        assert done.stderr.count("\n") == 1
        assert "an argument looks like a key" in done.stderr
        assert issued.token not in done.stderr


@pytest.mark.parametrize(
    "url", ["postgres://keyrack:s3cret@127.0.0.1:1/keyrack", ""], ids=["refused", "without tables"]
)
def test_a_database_that_can_t_be_used_is_one_line(
    keys: Callable[..., Done], tmp_path: Path, url: str
) -> None:
    done = keys("check", stdin=tokens.generate("live").text, DATABASE_URL=url, KEYRACK_DATA=str(tmp_path))
    assert (done.returncode, done.stdout) == (exits.NO_DATABASE, "")
    assert done.stderr.startswith("CommandError: The database can't be used: ")
    assert done.stderr.count("\n") == 1
    assert "s3cret" not in done.stderr


def test_bytes_that_are_no_text_are_refused(project: Project, environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*MANAGE, "keys", "list", b"\xff"], env=environment, capture_output=True, timeout=180
    )
    assert (done.returncode, done.stderr) == (
        exits.MISUSED,
        b"manage.py keys: error: an argument isn't UTF-8 text.\n",
    )
    done = subprocess.run(
        [*MANAGE, "keys", "check"], env=environment, input=b"\xff\xfe", capture_output=True, timeout=180
    )
    assert (done.returncode, done.stdout) == (exits.VERDICTS[Outcome.MALFORMED], b"malformed\n")


def test_a_name_that_the_terminal_has_no_letters_for_is_listed(
    project: Project, keys: Callable[..., Done]
) -> None:
    IssuedFactory(project=project, name="資料")
    done = keys("list", "acme", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u8cc7\u6599" in done.stdout


def test_a_reader_who_has_enough_is_no_failure_to_speak_of(
    project: Project, shell: Callable[[str], Done]
) -> None:
    done = shell("keys list acme --all | true")
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")


def test_a_token_that_can_t_be_written_is_told_about(project: Project, shell: Callable[[str], Done]) -> None:
    done = shell("keys issue acme Reader --type viewer > /dev/full")
    assert done.returncode == exits.LOST
    assert done.stderr.endswith("nobody has it. Revoke it and issue another.\n")
    done = shell("keys issue acme Second --type viewer >&-")
    assert done.returncode == exits.MISUSED
    assert not Key.objects.filter(project=project, name="Second").exists()


@pytest.mark.parametrize("errors", ["2>&-", "2>/dev/full"])
def test_a_token_comes_out_where_standard_error_is_gone(
    project: Project, shell: Callable[[str], Done], errors: str
) -> None:
    done = shell(f"keys issue acme Reader --type viewer {errors}")
    assert (done.returncode, len(done.stdout), done.stderr) == (exits.DONE, 65, "")


class Terminal:
    """A command with somebody in front of it."""

    def __init__(self, process: "subprocess.Popen[bytes]", screen: int) -> None:
        self.process, self._screen, self.shown = process, screen, ""

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + 120
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            self._read(1)

    def type(self, text: str) -> None:
        os.write(self._screen, text.encode())

    def end(self) -> int:
        """Wait for the end, and return the exit code."""
        code = self.process.wait(30)
        while self._read(0):
            pass
        assert "Traceback" not in self.shown
        return code

    def _read(self, seconds: float) -> bool:
        if not select.select([self._screen], [], [], seconds)[0]:
            return False
        try:
            chunk = os.read(self._screen, 4096)
        except OSError:
            # Linux says so when nobody holds the other side any more.
            return False
        self.shown += chunk.decode()
        return bool(chunk)


@contextmanager
def terminal(environment: dict[str, str], *arguments: str) -> Iterator[Terminal]:
    screen, tty = pty.openpty()

    def sit_down() -> None:
        # What makes it the terminal from which Ctrl+C comes, and that getpass opens as /dev/tty.
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        # A shell that starts the tests in the background has them ignore Ctrl+C, and whoever they start.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    process = subprocess.Popen(
        [*MANAGE, "keys", *arguments], env=environment, stdin=tty, stdout=tty, stderr=tty,
        start_new_session=True, preexec_fn=sit_down,
    )  # fmt: skip
    os.close(tty)
    try:
        yield Terminal(process, screen)
    finally:
        process.kill()
        process.wait()
        os.close(screen)


def test_a_token_that_is_typed_is_not_shown(issued: Issued, environment: dict[str, str]) -> None:
    with terminal(environment, "check") as seen:
        seen.read_until("Key: ")
        seen.type(f"{issued.token}\n")
        assert seen.end() == exits.DONE
        assert "valid" in seen.shown
        assert issued.token not in seen.shown


def test_revoke_asks_at_a_terminal(issued: Issued, environment: dict[str, str]) -> None:
    for answer, code in (("n", exits.REFUSED), ("y", exits.DONE)):
        with terminal(environment, "revoke", "acme", issued.key.key_id) as seen:
            seen.read_until("Revoke this key of Acme? [y/N] ")
            assert Key.objects.get(pk=issued.key.pk).revoked_at is None
            seen.type(f"{answer}\n")
            assert seen.end() == code
    assert Key.objects.get(pk=issued.key.pk).revoked_at is not None


@pytest.mark.parametrize(("verb", "prompt"), [("check", "Key: "), ("revoke", "[y/N] ")])
def test_ctrl_c_and_ctrl_d_end_it_quietly(
    issued: Issued, environment: dict[str, str], verb: str, prompt: str
) -> None:
    asked = [verb] if verb == "check" else [verb, "acme", issued.key.key_id]
    nothing = exits.VERDICTS[Outcome.MALFORMED] if verb == "check" else exits.REFUSED
    for typed, code in (("\x03", exits.INTERRUPTED), ("\x04", nothing)):
        with terminal(environment, *asked) as seen:
            seen.read_until(prompt)
            seen.type(typed)
            assert seen.end() == code
    assert Key.objects.get(pk=issued.key.pk).revoked_at is None
