"""What the README says: its commands work, its settings are the ones that are read, its files exist."""

import io
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.core.management import call_command
from django.test import Client

from projects.models import Project
from tests.factories import IssuedFactory

ROOT: Final = Path(settings.BASE_DIR)
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS: Final = [
    line.strip()
    for block in re.findall(r"^ *```sh\n(.*?)^ *```", README, re.DOTALL | re.MULTILINE)
    for line in block.splitlines()
    if line.strip()
]
MANAGE: Final = [".venv/bin/python", "manage.py"]


def section(heading: str) -> str:
    """Return the text below a heading, up to the next."""
    found = re.search(rf"^## {heading}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    assert found, heading
    return found[1]


@pytest.fixture
def first_run(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keyrack as its first start leaves it, with the defaults."""
    for name in ("KEYRACK_OWNER_EMAIL", "KEYRACK_OWNER_PASSWORD", "KEYRACK_FIRST_PROJECT"):
        monkeypatch.delenv(name, raising=False)
    call_command("first_run", stdout=io.StringIO())


def test_it_has_the_two_commands() -> None:
    assert {"make run", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.usefixtures("first_run")
def test_each_command_works(
    command: str, client: Client, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = shlex.split(command)
    if words[0] == "make":
        # What they do is tests/meta/test_run.py's, and this very run's.
        assert re.search(rf"^{words[1]}:.* ## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif words[:2] == MANAGE:
        manage(*words[2:])
    elif words[0] == "curl":
        token = IssuedFactory(project=Project.objects.get(), at=at, type="viewer").token
        assert curl(client, [word.replace("$KEYRACK_KEY", token) for word in words[1:]]) == 200
    else:
        pytest.fail("Nothing here tries such a command.")


def manage(*words: str) -> None:
    if words[-1] != "--help":
        call_command(*words, stdout=io.StringIO())
        return
    with pytest.raises(SystemExit) as done:
        call_command(*words)
    assert not done.value.code


def curl(client: Client, words: list[str]) -> int:
    """Return the status of what the command asks for: an address, and headers by -H."""
    (address,) = [word for word in words if word.startswith("http")]
    given = [words[place + 1].split(": ", 1) for place, word in enumerate(words) if word == "-H"]
    assert len(words) == 1 + 2 * len(given)
    return client.get(urlsplit(address).path, headers=dict(given)).status_code


def test_it_lists_the_settings_that_are_read() -> None:
    sources = [*(ROOT / "config").glob("*.py"), *(ROOT / "projects" / "management").rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    read = set(re.findall(r'env\.(?:read|text)\(\s*"(\w+)"', text))
    rows = re.findall(r"^\| (`[A-Z].*?) \|", section("Settings"), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    assert len(read) >= 10
    assert listed == read


def test_the_files_that_it_names_are_there() -> None:
    text = README.replace("`…", "`")
    named = re.findall(r"`((?:config|keys|projects|templates|static|tests)/[\w/.]*)`", text)
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    folders = re.findall(r"^(\w+/) {2,}", section("Where things are"), re.MULTILINE)
    assert len(named) > 3
    assert len(folders) == 6
    assert [path for path in [*named, *shown, *folders] if not (ROOT / path).exists()] == []


def test_the_map_names_every_folder() -> None:
    folders = {
        f"{path.name}/"
        for path in ROOT.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name not in ("var", "__pycache__")
    }
    assert folders <= set(re.findall(r"^(\w+/) {2,}", section("Where things are"), re.MULTILINE))
