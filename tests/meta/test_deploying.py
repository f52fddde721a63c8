"""The docs page on deploying, followed as far as a machine that isn't to be changed can follow it.

Its folders stand below a temporary one, and `systemctl` and `runuser` do nothing of their own.
"""

import json
import os
import re
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final
from urllib.parse import urlencode, urlsplit

import psycopg
import pytest
from django.test import Client
from django.urls import reverse

from tests import collected, services
from tests.meta.test_docs import code
from tests.meta.test_run import ROOT, clean_environment
from tests.web.pages import Page

FILES: Final = {
    "deploy-service": "keyrack.service", "deploy-command": "keyrack", "deploy-nginx": "nginx.conf",
}  # fmt: skip
# What is done by hand where a machine is set up, for it would change this one.
BY_HAND: Final = {
    "deploy-user", "deploy-release", "deploy-postgresql", "deploy-start", "deploy-reload", "deploy-metrics",
    "deploy-tend", "backup-folder", "upgrade-one", "upgrade-several",
}  # fmt: skip
HOST: Final = "keyrack.example.org"
SITE: Final = f"https://{HOST}"
LOGIN: Final = "/account/login/"
PASSWORD: Final = "a long enough password"
FOLDERS: Final = ("/etc/", "/srv/", "/var/", "/root/", "/usr/local/")


@pytest.fixture
def texts(db: None) -> dict[str, str]:
    nodes = Page(Client().get(reverse("docs_deploying"))).find("code")
    found = {node.attrs["id"].removeprefix("example-"): code(node) for node in nodes if "id" in node.attrs}
    assert len(found) == 22
    return found


class Machine:
    """A folder that stands for the root of a machine on which the page is followed."""

    def __init__(self, folder: Path, texts: dict[str, str], database: dict[str, str]) -> None:
        self.folder, self._texts = folder, texts
        for name in ("etc/keyrack", "srv/keyrack", "var/lib/keyrack", "var/backups/keyrack", "root"):
            (folder / name).mkdir(parents=True)
        (folder / "srv/keyrack/current").symlink_to(ROOT)
        self._program("systemctl", "exit 0")
        self._program("runuser", 'shift 3; exec "$@"')
        self._program("keyrack", self.here(texts["deploy-command"]))
        settings = "".join(f"{name}={value}\n" for name, value in database.items())
        self.write("etc/keyrack/settings.env", texts["deploy-settings"] + "\n" + settings)

    def here(self, text: str) -> str:
        """Return the text of an example with its folders below this one, owned by whoever tests."""
        for name in FOLDERS:
            text = re.sub(rf"(?<![\w.]){name}", f"{self.folder}{name}", text)
        return text.replace("-o keyrack -g keyrack ", "")

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(self.here(text))

    def run(self, text: str, **variables: str) -> str:
        environment = clean_environment() | variables
        environment["PATH"] = f"{self.folder}/bin:{environment['PATH']}"
        done = subprocess.run(
            ["sh", "-ec", self.here(text)], env=environment, capture_output=True, text=True, timeout=180
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def follow(self, name: str, **variables: str) -> str:
        return self.run(self._texts[name], **variables)

    def _program(self, name: str, text: str) -> None:
        file = self.folder / "bin" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text if text.startswith("#!") else f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)


@pytest.fixture
def database() -> Iterator[dict[str, str]]:
    """What names the database `keyrack`: to Keyrack, and to PostgreSQL's own programs."""
    url = os.environ.get("DATABASE_URL")
    if url is None:
        yield {}
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE keyrack")
        yield {
            "DATABASE_URL": urlsplit(url)._replace(path="/keyrack").geturl(),
            "REDIS_URL": os.environ["REDIS_URL"],
        }
        connection.execute("DROP DATABASE IF EXISTS keyrack WITH (FORCE)")


@pytest.fixture
def machine(tmp_path: Path, texts: dict[str, str], database: dict[str, str]) -> Machine:
    made = Machine(tmp_path, texts, database)
    collected.give(tmp_path / "var/lib/keyrack")
    made.follow("deploy-secrets")
    return made


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "file"), FILES.items(), ids=list(FILES))
def test_a_file_is_shown_as_it_is(texts: dict[str, str], name: str, file: str) -> None:
    assert texts[name] == (ROOT / "templates/docs/deploying" / file).read_text().strip("\n")


def test_its_settings_leave_nothing_to_complain_of(machine: Machine, texts: dict[str, str]) -> None:
    assert (machine.folder / "etc/keyrack/secrets.env").stat().st_mode & 0o777 == 0o600
    check = "keyrack check --deploy --fail-level WARNING"
    assert check in texts["deploy-start"]
    assert "no issues" in machine.run(check)
    machine.write("etc/keyrack/settings.env", f"{texts['deploy-settings']}\n{texts['deploy-several']}\n")
    assert "no issues" in machine.run(check)


def test_a_backup_is_restored_as_it_says(machine: Machine, database: dict[str, str]) -> None:
    server = urlsplit(database.get("DATABASE_URL", ""))
    kind, ending = ("postgresql", "dump") if database else ("sqlite", "sqlite3")
    where = {"PGHOST": server.hostname, "PGPORT": str(server.port), "PGUSER": server.username}
    variables = {name: value for name, value in where.items() if value} if database else {}
    machine.run("keyrack migrate --verbosity 0; keyrack first_run")
    machine.follow(f"backup-{kind}", **variables)
    machine.follow("backup-heads")
    (backup,) = (machine.folder / "var/backups/keyrack").iterdir()
    assert backup.suffix == f".{ending}"
    assert backup.stat().st_mode & 0o777 == 0o600
    for secret in (machine.folder / "etc/keyrack/secrets.env").read_text().splitlines():
        assert secret.partition("=")[2].encode() not in backup.read_bytes()
    # What comes after the backup is an event, which the log doesn't have any more then.
    machine.run("keyrack keys issue demo Lost --scope sources:read")
    machine.follow(f"restore-{kind}", BACKUP=str(backup), **variables)
    said = machine.follow("restore-check")
    assert "the chain holds" in said
    (heads,) = (machine.folder / "root").iterdir()
    assert json.loads(said.splitlines()[-1]) == json.loads(heads.read_text())


class Visitor:
    """Somebody who comes through nginx, by the name that its certificate has."""

    def __init__(self, port: int, certificate: Path) -> None:
        self._port, self._cookies = port, SimpleCookie()
        self._context = ssl.create_default_context(cafile=str(certificate))

    def ask(
        self, path: str, headers: Mapping[str, str] | None = None, **fields: str
    ) -> tuple[HTTPResponse, str]:
        """Return an answer and its body; a form is posted where there are fields."""
        sent = {"Cookie": self._cookies.output(attrs=[], header="", sep=";").strip(), **(headers or {})}
        if fields:
            sent |= {"Content-Type": "application/x-www-form-urlencoded", "Referer": f"{SITE}{path}"}
        connection = HTTPSConnection(HOST)
        connection.sock = self._context.wrap_socket(
            socket.create_connection(("127.0.0.1", self._port), timeout=20), server_hostname=HOST
        )
        with closing(connection):
            connection.request("POST" if fields else "GET", path, urlencode(fields) or None, sent)
            response = connection.getresponse()
            body = response.read()
        for cookie in response.headers.get_all("Set-Cookie", []):
            self._cookies.load(cookie)
        return response, "" if response.getheader("Content-Encoding") else body.decode()


@pytest.fixture
def served(machine: Machine) -> Iterator[int]:
    """Keyrack as the unit starts it; the value is its port."""
    services.require(["nginx"])
    port = services.free_port()
    environment = clean_environment() | {"PORT": str(port), "KEYRACK_OWNER_PASSWORD": PASSWORD}
    environment["PATH"] = f"{machine.folder}/bin:{environment['PATH']}"
    log = machine.folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [machine.folder / "bin/keyrack", "serve"], env=environment, stdout=output, stderr=output
        )
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def test_nginx_serves_it_over_tls_as_it_says(machine: Machine, served: int) -> None:
    plain = services.free_port()
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout privkey.pem -out fullchain.pem"
    machine.run(f"cd {machine.folder}; {request} -subj /CN={HOST} -addext subjectAltName=DNS:{HOST} 2> said")

    def configure(folder: Path, port: int) -> str:
        text = (ROOT / "templates/docs/deploying/nginx.conf").read_text()
        changes = {
            "listen 80;": f"listen 127.0.0.1:{plain};", "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
            "    listen [::]:80;\n": "", "    listen [::]:443 ssl http2;\n": "",
            "/etc/ssl/keyrack/": f"{machine.folder}/", "/var/log/nginx/": f"{folder}/",
            "127.0.0.1:8000": f"127.0.0.1:{served}",
        }  # fmt: skip
        for old, new in changes.items():
            assert text.count(old) >= 1, old
            text = text.replace(old, new)
        return text

    with services.nginx(configure) as nginx:
        visitor = Visitor(nginx.port, machine.folder / "fullchain.pem")
        response, page = visitor.ask(
            LOGIN, {"X-Forwarded-For": "203.0.113.9", "X_Forwarded_For": "203.0.113.8"}
        )
        assert response.status == 200
        assert response.getheader("Strict-Transport-Security", "").startswith("max-age=31536000")
        assert "default-src 'self'" in response.getheader("Content-Security-Policy", "")
        assert response.getheader("X-Frame-Options") == "DENY"
        assert all("Secure" in cookie for cookie in response.headers.get_all("Set-Cookie", []))

        style = str(re.search(r'href="(/static/css/console[^"]+)"', page)[1])  # type: ignore[index]
        response, _ = visitor.ask(style, {"Accept-Encoding": "gzip"})
        assert (response.status, response.getheader("Content-Encoding")) == (200, "gzip")
        assert "immutable" in response.getheader("Cache-Control", "")

        token = str(re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)[1])  # type: ignore[index]
        who = {"login": "owner@example.org", "password": PASSWORD, "csrfmiddlewaretoken": token}
        response, _ = visitor.ask(LOGIN, None, **who)
        assert response.status == 302
        response, page = visitor.ask("/projects/demo/settings/keys/")
        assert (response.status, "Automator Key" in page) == (200, True)

        for path in ("/healthz", "/readyz", "/metrics"):
            assert visitor.ask(path)[0].status == 404
        visitor.ask("/account/password/reset/key/1-secret/?next=x")
        with closing(HTTPConnection("127.0.0.1", plain, timeout=20)) as connection:
            connection.request("GET", "/docs/?a=b", headers={"Host": HOST})
            response = connection.getresponse()
            assert (response.status, response.getheader("Location")) == (301, f"{SITE}/docs/?a=b")
        assert "GET [a link]" in nginx.logged
        assert "1-secret" not in nginx.logged
        assert f"POST {LOGIN} 302" in nginx.logged
    # Whoever is trusted to say where a client comes from is nginx, and it says what it has seen.
    said = (machine.folder / "log").read_text()
    assert '"address": "127.0.0.1"' in said
    assert "203.0.113" not in said


@pytest.mark.django_db
def test_nothing_of_the_page_is_left_out(texts: dict[str, str]) -> None:
    followed = {
        "deploy-settings", "deploy-secrets", "deploy-several", "backup-sqlite", "backup-postgresql",
        "backup-heads", "restore-sqlite", "restore-postgresql", "restore-check",
    }  # fmt: skip
    assert set(texts) == {*FILES, *BY_HAND, *followed}
