"""config/env.py: what the environment may say, and what a mistake in it reads like."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config import env
from config.env import BadValue, Env

ROOT = Path(__file__).parents[2]
KEY = base64.b64encode(bytes(range(32))).decode()


def test_it_returns_the_default_where_a_variable_is_missing_or_empty() -> None:
    assert Env({}).read("PORT", env.port, 8000) == 8000
    assert Env({"PORT": "  "}).read("PORT", env.port, 8000) == 8000
    assert Env({"NAME": ""}).text("NAME", "Demo") == "Demo"


def test_it_strips_the_blanks_around_a_value() -> None:
    assert Env({"NAME": " Acme\n"}).text("NAME") == "Acme"


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (env.flag, "1", True),
        (env.flag, "No", False),
        (env.port, "65535", 65535),
        (env.base_url, "https://Keys.Example.org/", "https://keys.example.org"),
        (env.base_url, "http://[::1]:8000", "http://[::1]:8000"),
        (env.hosts, "a.example, .b.example", ["a.example", ".b.example"]),
        (env.redis, "rediss://cache:6379/1", "rediss://cache:6379/1"),
        (env.ip, "0.0.0.0", "0.0.0.0"),
        (env.ip, "0:0::1", "::1"),
        (env.count(64), "64", 64),
        (env.passphrase, "A-Za-z0-9._~+/-and-=", "A-Za-z0-9._~+/-and-="),
        (env.byte_keys, f"{KEY}, {KEY}", (bytes(range(32)), bytes(range(32)))),
        (env.byte_keys, f"{KEY}\n{KEY}\n", (bytes(range(32)), bytes(range(32)))),
    ],
)
def test_it_reads_a_good_value(parse: Callable[[str], Any], text: str, value: Any) -> None:
    assert parse(text) == value


def test_it_reads_the_address_of_a_postgresql() -> None:
    setting = env.postgresql("postgres://keyrack:s%40fe@db.example:5433/keys")
    assert setting["ENGINE"] == "django.db.backends.postgresql"
    assert (setting["HOST"], setting["PORT"], setting["NAME"]) == ("db.example", 5433, "keys")
    assert setting["PASSWORD"] == "s@fe"


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (env.flag, "maybe"),
        (env.port, "0"),
        (env.port, "65536"),
        (env.ip, "localhost"),
        (env.ip, "127.0.0.1:8000"),
        (env.count(64), "0"),
        (env.count(64), "65"),
        (env.count(64), "²"),
        (env.passphrase, "nineteen-characters"),
        (env.passphrase, "twenty characters, but with blanks"),
        (env.port, "8000x"),
        (env.port, "٨٠"),
        (env.base_url, "keyrack.example.org"),
        (env.base_url, "ftp://keyrack.example.org"),
        (env.base_url, "https://keyrack.example.org/keys"),
        (env.base_url, "https://me@keyrack.example.org"),
        (env.base_url, "https://keyrack.example.org:99999"),
        (env.base_url, "http://[::1"),
        (env.hosts, "*"),
        (env.hosts, "https://a.example"),
        (env.postgresql, "mysql://db/keys"),
        (env.postgresql, "postgres://db"),
        (env.redis, "localhost:6379"),
        (env.byte_key, "not base64!"),
        (env.byte_key, "c2hvcnQ="),
    ],
)
def test_it_names_the_variable_of_a_bad_value(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(BadValue, match=r"^SOME_NAME: .+"):
        Env({"SOME_NAME": text}).read("SOME_NAME", parse, None)


@pytest.mark.parametrize("parse", [env.byte_keys, env.postgresql, env.redis, env.passphrase])
def test_it_never_repeats_a_value_that_may_be_secret(parse: Callable[[str], Any]) -> None:
    with pytest.raises(BadValue) as caught:
        Env({"X": "hunter2://:hunter2@x"}).read("X", parse, None)
    assert "hunter2" not in str(caught.value)


def test_a_bad_value_ends_a_command_with_one_line(tmp_path: Path) -> None:
    environment = os.environ | {"PORT": "80x", "KEYRACK_DATA": str(tmp_path)}
    environment["DJANGO_SETTINGS_MODULE"] = "config.settings"
    done = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "Keyrack can't start. PORT: “80x” is not a port number (1 to 65535)\n"
