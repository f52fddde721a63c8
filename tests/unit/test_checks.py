"""config/checks.py: mistakes that `manage.py check --deploy` finds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCTION = {"KEYRACK_URL": "https://keyrack.example.org", "KEYRACK_TRUSTED_PROXIES": "1"}
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
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
        PRODUCTION | POSTGRESQL | SECRETS | {"REDIS_URL": "redis://127.0.0.1:1/0"},
    ],
)
def test_it_finds_nothing_in_the_production_settings(settings: dict[str, str], tmp_path: Path) -> None:
    assert check(tmp_path, settings, "--deploy") == (
        0, "System check identified no issues (2 silenced).\n",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, "keyrack.E002"),
        (PRODUCTION | {"KEYRACK_DEBUG": "1"}, "keyrack.E003"),
        (PRODUCTION | POSTGRESQL, "keyrack.E004"),
        (PRODUCTION | POSTGRESQL | SECRETS, "keyrack.W001"),
        (PRODUCTION | {"KEYRACK_SECRET_KEY": "short"}, "security.W009"),
    ],
)
def test_it_finds_a_mistake(settings: dict[str, str], found: str, tmp_path: Path) -> None:
    code, output = check(tmp_path, settings, "--deploy")
    assert code == 1
    assert found in output


def test_it_always_finds_a_url_that_would_redirect_for_ever(tmp_path: Path) -> None:
    code, output = check(tmp_path, {"KEYRACK_URL": "https://keyrack.example.org"})
    assert code == 1
    assert "keyrack.E001" in output
