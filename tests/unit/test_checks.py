"""config/checks.py: mistakes that `manage.py check --deploy` finds."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION = {"KEYRACK_URL": "https://keyrack.example.org", "KEYRACK_TRUSTED_PROXIES": "1"}
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
REDIS = {"REDIS_URL": "redis://127.0.0.1:1/0"}
POSTGRESQL = {"DATABASE_URL": "postgres://keyrack@127.0.0.1:1/keyrack"}
SECRETS = {
    "KEYRACK_SECRET_KEY": "a-long-text-of-more-than-fifty-different-characters-1234567890",
    "KEYRACK_SEALING_KEYS": KEY,
    "KEYRACK_AUDIT_KEY": KEY,
}


def check(folder: Path, settings: dict[str, str], *options: str) -> tuple[int, str]:
    environment = {"PATH": os.environ["PATH"], "KEYRACK_DATA": str(folder)} | settings
    command = [sys.executable, "manage.py", "check", "--fail-level", "WARNING", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    "settings",
    [
        PRODUCTION,
        # Several processes, open to other machines, to proxies of a network and to hosts that are named.
        PRODUCTION
        | POSTGRESQL
        | SECRETS
        | REDIS
        | {"KEYRACK_WORKERS": "4", "KEYRACK_LISTEN": "0.0.0.0", "KEYRACK_TRUSTED_PROXIES": "10.0.0.0/8"}
        | {"KEYRACK_HOSTS": "keys.internal"},
    ],
    ids=["one machine", "several"],
)
def test_it_finds_nothing_in_the_production_settings(settings: dict[str, str], tmp_path: Path) -> None:
    assert check(tmp_path, settings, "--deploy") == (
        0, "System check identified no issues (2 silenced).\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "mistakes"),
    [
        ({}, {"keyrack.E002", "keyrack.E007"}),
        (
            PRODUCTION
            | {"KEYRACK_DEBUG": "1", "KEYRACK_URL": "https://[::1]:8443", "KEYRACK_LISTEN": "::"}
            | {"KEYRACK_HOSTS": "keys.internal, .example.org", "KEYRACK_SECRET_KEY": "short"},
            {"keyrack.E003", "keyrack.E007", "keyrack.W002", "keyrack.W003", "security.W009"},
        ),
        (PRODUCTION | POSTGRESQL, {"keyrack.E004", "keyrack.W001"}),
    ],
    ids=["defaults", "open doors", "several machines"],
)
def test_it_finds_each_mistake(settings: dict[str, str], mistakes: set[str], tmp_path: Path) -> None:
    code, output = check(tmp_path, settings, "--deploy")
    found = set(re.findall(r"\((\w+\.[EW]\d+)\)", output))
    assert code == 1
    assert {name for name in found if name.startswith("keyrack") or name in mistakes} == mistakes


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"KEYRACK_URL": "https://keyrack.example.org"}, "keyrack.E001"),
        (REDIS | {"KEYRACK_WORKERS": "2"}, "keyrack.E005"),
        (POSTGRESQL | {"KEYRACK_WORKERS": "2"}, "keyrack.E006"),
    ],
    ids=["a redirect for ever", "processes on SQLite", "processes without Redis"],
)
def test_it_always_finds_what_can_not_work(settings: dict[str, str], found: str, tmp_path: Path) -> None:
    code, output = check(tmp_path, settings)
    assert code == 1
    assert re.findall(r"\((keyrack\.\w+)\)", output) == [found]
