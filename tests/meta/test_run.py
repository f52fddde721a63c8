"""`make run`, from a copy of the project: what the README promises of it, over real HTTP."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import HTTPCookieProcessor, OpenerDirector, build_opener

import psycopg
import pytest

from config.server import STOP_SECONDS
from tests import collected
from tests.services import free_port

ROOT = Path(__file__).parents[2]
NEW_PASSWORD = "quartz lantern 77"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as somebody has it who ran `make run` before, without its data."""
    copy = tmp_path_factory.mktemp("copy") / "keyrack"
    ignored = shutil.ignore_patterns(".venv", ".git", "var", "__pycache__", ".*_cache", "node_modules")
    shutil.copytree(ROOT, copy, ignore=ignored)
    tools = copy / ".venv"
    tools.mkdir()
    for part in Path(sys.prefix).iterdir():
        if not part.name.startswith("."):
            (tools / part.name).symlink_to(part)
    for stamp in (".made", ".installed-run"):
        (tools / stamp).touch()
    return copy


@pytest.fixture(scope="module")
def database() -> Iterator[dict[str, str]]:
    """An empty database of the kind that this run of the tests is for."""
    url = os.environ.get("DATABASE_URL")
    if url is None:
        yield {}
        return
    name = f"run_{uuid.uuid4().hex}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        own = urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
        # One sign-in here goes through all of the processes.
        yield {"DATABASE_URL": own, "REDIS_URL": os.environ["REDIS_URL"], "KEYRACK_WORKERS": "4"}
        connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder of its own, in which the static files are compressed already."""
    collected.give(tmp_path / "data")
    return tmp_path / "data"


class Run:
    """One `make run` under way, with all that it has printed."""

    def __init__(self, folder: Path, settings: dict[str, str]) -> None:
        self.port = int(settings["PORT"])
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder.parent / f"output-{self.port}"
        with self.log.open("w") as output:
            self.process = subprocess.Popen(
                ["make", "run"], cwd=folder, env=clean_environment() | settings,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_until_it_answers(self) -> None:
        for _ in range(600):
            if self.process.poll() is not None:
                break
            with closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.1)
        pytest.fail(f"It doesn't answer:\n{self.output}")

    def stop(self) -> int:
        """Send SIGTERM as a service manager does, to make and all below it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(60)


def clean_environment() -> dict[str, str]:
    dropped = ("KEYRACK_", "DATABASE_URL", "REDIS_URL", "PORT", "DJANGO_", "MAKE", "MFLAGS")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


@contextmanager
def running(copy: Path, **settings: str) -> Iterator[Run]:
    run = Run(copy, {"PORT": str(free_port())} | settings)
    try:
        run.wait_until_it_answers()
        yield run
    finally:
        run.stop()


def refused(copy: Path, **settings: str) -> str:
    """Return the one line that a run says before it gives up."""
    environment = clean_environment() | {"PORT": str(free_port())} | settings
    done = subprocess.run(
        ["make", "run"], cwd=copy, env=environment, capture_output=True, text=True, timeout=180
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    assert len(lines) == 1, done.stderr
    return lines[0]


class Browser:
    """Just enough of one: cookies, and the hidden token of a form."""

    def __init__(self, run: Run) -> None:
        self.base = run.url
        self.opener: OpenerDirector = build_opener(HTTPCookieProcessor(CookieJar()))

    def get(self, path: str) -> tuple[str, str]:
        with self.opener.open(self.base + path) as response:
            return urlsplit(response.url).path, response.read().decode()

    def post(self, path: str, **fields: str) -> tuple[str, str]:
        _, page = self.get(path)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token
        data = urlencode(fields | {"csrfmiddlewaretoken": token[1]}).encode()
        with self.opener.open(self.base + path, data) as response:
            return urlsplit(response.url).path, response.read().decode()


def test_a_first_run_makes_an_owner_who_signs_in(copy: Path, database: dict[str, str]) -> None:
    data = copy / "var"
    with running(copy, **database) as run:
        password = re.search(r"Password +(\S+)", run.output)
        assert password
        assert run.output.count(password[1]) == 1
        assert re.search(r"Email +owner@keyrack\.local", run.output)
        assert f"Keyrack runs at {run.url}/" in run.output
        browser = Browser(run)
        path, page = browser.post("/account/login/", login="owner@keyrack.local", password=password[1])
        assert path == "/account/password/change/"
        assert "Choose your own to go on" in page
        passwords = {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
        path, page = browser.post("/account/password/change/", oldpassword=password[1], **passwords)
        assert path == "/projects/demo/settings/keys/"
        assert "Automator Key" in page
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in data.iterdir() if file.is_file()}
    assert set(modes) >= {"secret.key", "sealing.keys", "audit.key"}
    assert set(modes.values()) == {0o600}
    assert ("keyrack.sqlite3" in modes) is (database == {})
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_second_run_changes_nothing(copy: Path, database: dict[str, str]) -> None:
    keys = {path: path.read_bytes() for path in (copy / "var").glob("*.key*")}
    assert keys
    with running(copy, **database, KEYRACK_OWNER_EMAIL="other@example.test") as run:
        assert "First start" not in run.output
        assert "Password" not in run.output
        path, _ = Browser(run).post("/account/login/", login="owner@keyrack.local", password=NEW_PASSWORD)
        assert path == "/projects/demo/settings/keys/"
    assert keys == {path: path.read_bytes() for path in (copy / "var").glob("*.key*")}


def test_it_stops_cleanly_and_serves_until_then(copy: Path, database: dict[str, str]) -> None:
    with running(copy, **database) as run:
        page = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
        page.request("GET", "/account/login/", headers={"Accept-Encoding": "gzip"})
        answer = page.getresponse()
        answer.read()
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
        started = time.monotonic()
        run.stop()
        assert time.monotonic() - started < 20
        assert "Traceback" not in run.output
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", run.port)) != 0


def test_what_it_has_counted_is_written_when_it_is_stopped(copy: Path, database: dict[str, str]) -> None:
    """A worker of the server ends by a signal, where Python's own exit functions don't run."""
    with running(copy, **database) as run:
        token = manage(copy, database, "keys", "issue", "demo", "Counted", "--scope", "sources:read").strip()
        for _ in range(20):
            assert ask(run, "/api/v1/whoami", Authorization=f"Bearer {token}").status == 200
        # At once: the thread that writes each second has had no second for the last of them.
        run.stop()
    listed = json.loads(manage(copy, database, "shell", "--no-imports", "--command", COUNTED))
    assert listed == [["valid", 20]]


COUNTED: Final = """
import json
from keys.models import DayCount
print(json.dumps([*DayCount.objects.filter(key__name="Counted").values_list("outcome", "count")]))
"""


def manage(copy: Path, database: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [copy / ".venv/bin/python", "manage.py", *command], cwd=copy, env=clean_environment() | database,
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_no_worker_outlives_a_server_that_was_killed(copy: Path, database: dict[str, str]) -> None:
    with running(copy, **database) as run:
        make = run.process.pid
        server = children(make)[0]
        ask(run, "/account/login/").read()
        workers = [
            pid for pid in children(server) if b"config.server" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
        assert workers
        os.kill(server, signal.SIGKILL)
        run.process.wait(60)
        # Some of the time granian doesn't end by itself, and the worker is ended.
        until = time.monotonic() + STOP_SECONDS + 30
        while left := [pid for pid in workers if is_alive(pid)]:
            assert time.monotonic() < until, f"Workers go on: {left}"
            time.sleep(0.1)
        with closing(socket.socket()) as probe:
            assert probe.connect_ex(("127.0.0.1", run.port)) != 0


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def commandline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def is_alive(pid: int) -> bool:
    """Say whether the process runs: one that ended may still have its entry, until somebody asks how."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


WEDGED = """
import signal, sys, time
from config import server
server.STOP_SECONDS = 1
server.follow_the_main_process()
signal.signal(signal.SIGTERM, lambda *_: None)
print("up", flush=True)
while True:
    time.sleep(60)
"""


@pytest.mark.one_database
def test_a_worker_that_cannot_end_by_itself_is_ended() -> None:
    main = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"
    with subprocess.Popen([sys.executable, "-c", main, WEDGED], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        (worker,) = children(process.pid)
        process.kill()
        until = time.monotonic() + 30
        while is_alive(worker):
            assert time.monotonic() < until
            time.sleep(0.05)


def ask(run: Run, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", run.port, timeout=60)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    return connection.getresponse()


@pytest.mark.one_database
def test_behind_tls_it_insists_on_it(copy: Path, data: Path) -> None:
    settings = {"KEYRACK_URL": "https://keys.example.test", "KEYRACK_TRUSTED_PROXIES": "1"}
    proxied = {"Host": "keys.example.test", "X_Forwarded_For": "198.51.100.7"}
    with running(copy, KEYRACK_DATA=str(data), **settings) as run:
        assert "Sign in    https://keys.example.test/" in run.output
        plain = ask(run, "/account/login/", **proxied, X_Forwarded_Proto="http")
        assert plain.status == 301
        assert plain.headers["Location"] == "https://keys.example.test/account/login/"
        page = ask(run, "/account/login/", **proxied, X_Forwarded_Proto="https")
        assert page.status == 200
        assert page.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "Secure" in page.headers["Set-Cookie"]
        elsewhere = ask(run, "/account/login/", Host="evil.example", X_Forwarded_Proto="https")
        assert elsewhere.status == 400


@pytest.mark.one_database
def test_the_environment_names_the_first_owner_and_project(copy: Path, data: Path) -> None:
    with running(
        copy,
        KEYRACK_DATA=str(data),
        KEYRACK_OWNER_EMAIL="Mara@Example.test",
        KEYRACK_OWNER_PASSWORD="correct horse battery",
        KEYRACK_FIRST_PROJECT="Acme Robots",
    ) as run:
        assert "correct horse" not in run.output
        path, _ = Browser(run).post(
            "/account/login/", login="mara@example.test", password="correct horse battery"
        )
        assert path == "/projects/acme-robots/settings/keys/"


@pytest.mark.one_database
def test_a_taken_port_is_one_line(copy: Path, tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = refused(copy, PORT=str(port), KEYRACK_DATA=str(tmp_path))
    assert line == (
        f"Keyrack can't start. Port {port} can't be used: Address already in use. "
        "Choose another, such as PORT=8001."
    )


@pytest.mark.one_database
@pytest.mark.parametrize(
    ("environment", "line"),
    [
        (
            {"KEYRACK_DATA": "/dev/null/data"},
            "Keyrack can't start. KEYRACK_DATA: /dev/null/data.* can't be used: Not a directory",
        ),
        (
            {"KEYRACK_TRUSTED_PROXIES": "proxy"},
            "Keyrack can't start. KEYRACK_TRUSTED_PROXIES: “proxy” is neither a number .*",
        ),
        (
            {"KEYRACK_OWNER_EMAIL": "nobody"},
            "Keyrack can't start. KEYRACK_OWNER_EMAIL: Enter a valid email address.",
        ),
        (
            {"KEYRACK_FIRST_PROJECT": "many words " * 10},
            "Keyrack can't start. KEYRACK_FIRST_PROJECT: Use 100 characters or fewer.",
        ),
        (
            {"DATABASE_URL": "postgres://keyrack:s3cret@127.0.0.1:1/keyrack"},
            "Keyrack can't start. The database can't be reached: .*Connection refused.*",
        ),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_mistake_is_one_line(copy: Path, tmp_path: Path, environment: dict[str, str], line: str) -> None:
    said = refused(copy, **{"KEYRACK_DATA": str(tmp_path / "data")} | environment)
    assert re.fullmatch(line, said), said
    assert "s3cret" not in said


@pytest.mark.one_database
def test_nothing_is_left_half_made_by_a_mistake(copy: Path, data: Path) -> None:
    refused(copy, KEYRACK_DATA=str(data), KEYRACK_FIRST_PROJECT="many words " * 10)
    with running(copy, KEYRACK_DATA=str(data)) as run:
        assert "made the project “Demo”" in run.output


@pytest.mark.one_database
def test_a_python_that_is_too_old_is_one_line(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    (tmp_path / "requirements.txt").touch()
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    line = refused(tmp_path, PYTHON=str(old))
    assert line == f"Keyrack needs Python 3.11 or newer, and {old} is older."
    source = "import sys; sys.version_info = (3, 9, 2); exec(open('manage.py').read())"
    done = subprocess.run([sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == "Keyrack needs Python 3.11 or newer, and this is 3.9.\n"
