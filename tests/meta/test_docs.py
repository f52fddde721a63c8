"""The docs pages: open to all, their links lead somewhere, and their examples do what they say."""

import io
import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import types
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from config import env
from keys import answers, docs, problems, providers, sealing
from keys.api import gateways, openapi
from keys.kinds import KeyType, Provider
from keys.lifecycle import Issued
from keys.models import Key
from keys.verification import Outcome, check
from projects.models import Project, User
from tests.factories import ChannelFactory, IssuedFactory, ProviderKeyFactory, UpstreamFactory
from tests.web.pages import Node, Page, signed_in

PAGES: Final = list(docs.PAGES)
# What only says what to set, or shows what is answered.
NOT_RUN: Final = {"setup", "environment", "problem", "wrong-channel"}
# What the examples print, each run with a key that may do everything, or with that of a channel.
PRINTED: Final = {
    "first-call": '"name": "Boss"',
    "bearer": '"name": "Boss"',
    "bearer-python": "Boss may *",
    "x-api-key": '"name": "Boss"',
    "introspect": '"active": true',
    "introspect-python": "True",
    "revoke-token": "{}",
    "issue": '"scopes": ["sources:read"]',
    "issue-agent": '"type": "agent"',
    "scopes-python": "sources:read sources:write",
    "errors-python": "Boss",
    "channel-whoami": '"type": "channel"',
}
# Configurations, and the files that they are; tests/api/test_behind_gateways.py runs the first two.
FILES: Final = {"nginx": "nginx.conf", "caddy": "Caddyfile", "traefik": "traefik.yml"}
# What runs on the machine, beside Keyrack or inside it.
ON_THE_MACHINE: Final = {"django-python", "provider-python", "new-sealing-key", "reseal"}
# Steps of one story, run in their order below.
STORY: Final = ["rotate-key", "rotate-try", "rotate-wait", "rotate-stop"]
# The page on deploying is followed in tests/meta/test_deploying.py.
DEPLOYING: Final = ("deploy-", "backup-", "restore-", "upgrade-")
# Commands for whoever has the machine, in the order in which they are run below.
COMMANDS: Final = ["audit-verify", "audit-head"]


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, db: None) -> Page:
    return Page(Client().get(reverse(request.param)))


def shown(name: str) -> Page:
    return Page(Client().get(reverse(name)))


def code(node: Node) -> str:
    """Return the text of an example as somebody copies it."""
    return "".join(child for child in node.children if isinstance(child, str))


def examples() -> Iterator[tuple[str, str, str]]:
    """Yield the name, the language and the text of every example on the pages that people write."""
    for name in PAGES:
        if name != "docs_api":
            for node in shown(name).find("code"):
                if "data-language" in node.attrs:
                    yield node.attrs["id"].removeprefix("example-"), node.attrs["data-language"], code(node)


# The pages


@pytest.mark.django_db
@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_open_to_everybody(name: str, viewer: User) -> None:
    for client in (Client(), signed_in(viewer)):
        response = client.get(reverse(name))
        page = Page(response)
        assert response.status_code == 200
        assert page.title == f"{docs.PAGES[name]} · Docs · Keyrack"
        rail = page.one("nav", aria_label="Docs")
        assert rail.texts("a") == list(docs.PAGES.values())
        assert rail.one("a", aria_current="page").text == docs.PAGES[name]
        assert page.one("nav", aria_label="Main").one("a", "Docs").attrs["href"] == reverse("docs_index")


@pytest.mark.django_db
def test_the_console_leads_there(project: Project, viewer: User) -> None:
    page = Page(signed_in(viewer).get(reverse("key_list", args=["acme"])))
    assert page.one("nav", aria_label="Main").one("a", "Docs").attrs["href"] == reverse("docs_index")


def test_every_link_leads_somewhere(page: Page) -> None:
    client = Client()
    links = {node.attrs["href"] for node in page.content.find("a")}
    assert links
    for link in links:
        address, _, anchor = link.partition("#")
        response = client.get(address) if address else None
        assert response is None or response.status_code == 200, link
        if anchor:
            target = Page(response) if response else page
            assert target.find(id=anchor), link


def test_headings_go_down_by_one_level(page: Page) -> None:
    levels = [int(node.tag[1]) for node in page.content.walk() if re.fullmatch("h[1-6]", node.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


def test_ids_are_unique_and_no_token_is_shown(page: Page) -> None:
    ids = [node.attrs["id"] for node in page.walk() if "id" in node.attrs]
    assert len(set(ids)) == len(ids)
    assert not re.search(r"kr_(live|test)_[0-9A-Za-z]{13}", page.source)


@pytest.mark.django_db
def test_every_problem_type_is_explained() -> None:
    page = shown("docs_errors")
    for kind in problems.ALL:
        entry = page.one("section", id=kind.code)
        assert entry.one("h3").text == kind.title
        assert kind.urn in entry.text
        assert kind.advice.replace("`", "") in entry.text


@pytest.mark.django_db
def test_every_operation_is_shown_with_all_that_the_document_says() -> None:
    page, document = shown("docs_api"), openapi.document()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            entry = page.one("section", id=operation["operationId"])
            assert entry.one("h3").text == operation["summary"]
            assert f"{method.upper()} {path}" in entry.text
            assert {*operation["responses"]} <= {*entry.texts("dt")}
            for parameter in operation.get("parameters", ()):
                named = parameter.get("name") or parameter["$ref"].rpartition("/")[2]
                assert named in entry.texts("dt")
            body = operation.get("requestBody", {"content": {}})["content"]
            for media in body.values():
                schema = document["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
                assert {*schema["properties"]} <= {*entry.texts("dt")}
    for name in ("Key", "KeyWithToken", "Identity", "Problem"):
        members = document["components"]["schemas"][name]["properties"]
        assert page.one("section", id=name).texts("dt") == list(members)


@pytest.mark.django_db
def test_the_examples_of_the_document_are_json() -> None:
    found = [node for node in shown("docs_api").find("code") if node.attrs.get("data-language") == "json"]
    assert len(found) > 10
    for node in found:
        assert json.loads(code(node))


# The examples


@pytest.mark.django_db
def test_every_example_is_run_or_known_not_to_be() -> None:
    names = [name for name, _, _ in examples() if not name.startswith(DEPLOYING)]
    assert sorted(names) == sorted({*NOT_RUN, *FILES, *PRINTED, *STORY, *ON_THE_MACHINE, *COMMANDS})


@pytest.fixture
def boss(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, name="Boss", type=KeyType.PRIVILEGED)


@pytest.fixture
def crawler(project: Project, at: datetime) -> Issued:
    return IssuedFactory(project=project, at=at, name="Crawler", confirmed=True)


@pytest.fixture
def held(project: Project, at: datetime) -> Issued:
    ChannelFactory(project=project, slug="support-bot")
    return IssuedFactory(project=project, at=at, type=KeyType.CHANNEL, channel="support-bot", holder="Nora")


class Shell:
    """Runs examples in a folder of their own, as somebody does who has set the variables."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"} | variables
        self.texts = {name: (language, text) for name, language, text in examples()}

    def run(self, name: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        language, text = self.texts[name]
        command = ["sh", "-ec", text] if language == "sh" else [sys.executable, "-c", text]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=120,
        )

    def output(self, name: str, **variables: str) -> str:
        done = self.run(name, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def shell(live_server: LiveServer, boss: Issued, crawler: Issued, held: Issued, tmp_path: Path) -> Shell:
    if not shutil.which("curl"):
        pytest.fail("curl is missing: run apt-get install curl")
    return Shell(
        tmp_path,
        KEYRACK_URL=live_server.url,
        KEYRACK_KEY=boss.token,
        CHANNEL_KEY=held.token,
        TOKEN=crawler.token,
        LEAKED=crawler.token,
        KEY_ID=crawler.key.key_id,
        OLD_KEY_ID=crawler.key.key_id,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("name", "printed"), PRINTED.items(), ids=list(PRINTED))
def test_an_example_prints_what_it_should(shell: Shell, name: str, printed: str) -> None:
    assert printed in shell.output(name)


@pytest.mark.django_db(transaction=True)
def test_what_the_examples_do_is_done(shell: Shell, crawler: Issued, at: datetime) -> None:
    made = json.loads(shell.output("issue"))
    assert check(made["token"], at=at, scopes=["sources:read"]).is_valid
    again = json.loads(shell.output("issue"))
    assert (again["type"], again["key_id"]) == ("urn:keyrack:problem:already-issued", made["key_id"])
    shell.output("scopes-python")
    assert check(crawler.token, at=at, scopes=["sources:write"]).is_valid
    assert shell.output("introspect-python", TOKEN="kr_live_no").strip() == "False"
    shell.output("revoke-token")
    assert check(crawler.token, at=at).outcome is Outcome.REVOKED
    assert shell.output("introspect-python").strip() == "False"


@pytest.mark.django_db
def test_the_example_of_a_wrong_channel_is_what_is_answered(held: Issued, at: datetime) -> None:
    (text,) = [text for name, _, text in examples() if name == "wrong-channel"]
    for asked in ("", "website"):
        answer = answers.problem_of(check(held.token, at=at, channel=asked)).response()
        assert answer.status_code == 403
        assert json.loads(answer.content) == json.loads(text)


@pytest.mark.django_db(transaction=True)
def test_the_example_of_errors_says_what_is_wrong(shell: Shell, crawler: Issued) -> None:
    done = shell.run("errors-python", KEYRACK_KEY="kr_live_no")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.strip() == "Not an API key: The token is malformed or mistyped."


@pytest.mark.django_db(transaction=True)
def test_the_story_of_a_rotation_comes_true(shell: Shell, crawler: Issued, at: datetime) -> None:
    said = shell.output("rotate-key")
    file = shell.folder / "new-key.env"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    new = Key.objects.get(predecessor=crawler.key)
    assert said.startswith(f"{new.key_id} lasts until ")
    assert (new.name, new.scopes, new.type) == ("Crawler", "sources:read", "restricted")
    token = file.read_text().partition("=")[2].strip()
    assert token not in said
    # Both are good while the clients move.
    assert check(token, at=at).is_valid
    assert check(crawler.token, at=at).is_valid
    before = Key.objects.count()
    assert shell.run("rotate-key").returncode != 0
    file.rename(shell.folder / "kept.env")
    assert "409" in shell.run("rotate-key").stderr
    assert Key.objects.count() == before
    (shell.folder / "kept.env").rename(file)
    who: dict[str, Any] = json.loads(shell.output("rotate-try"))
    assert who["key_id"] == new.key_id
    assert json.loads(shell.output("rotate-wait"))["last_used_at"] is None
    assert json.loads(shell.output("rotate-stop"))["revoked_reason"] == "Everybody has moved."
    assert check(crawler.token, at=at).outcome is Outcome.REVOKED
    assert check(token, at=at).is_valid


# On the machine


def text_of(name: str) -> str:
    return next(text for each, _, text in examples() if each == name)


@pytest.mark.django_db
def test_the_example_of_a_provider_key_asks_the_upstream_with_it(project: Project) -> None:
    secret = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
    key = ProviderKeyFactory(project=project, name="Main OpenAI", secret=secret)
    UpstreamFactory(project=project, slug="gpt-5", provider_key=key.public_id)
    names: dict[str, Any] = {}
    exec(text_of("provider-python"), names)
    request = names["request"]
    assert request.full_url == "https://api.openai.com/v1/models"
    assert request.headers == {"Authorization": f"Bearer {secret}"}
    assert secret not in str(names["authorization"])


@pytest.mark.django_db
def test_the_example_of_django_views_lets_good_keys_through_alone(
    crawler: Issued, held: Issued, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = types.ModuleType("example")
    exec(text_of("django-python"), example.__dict__)
    monkeypatch.setitem(sys.modules, "example", example)
    settings.ROOT_URLCONF = "example"
    client = Client(enforce_csrf_checks=True)

    def bearer(issued: Issued) -> dict[str, str]:
        return {"Authorization": f"Bearer {issued.token}"}

    assert client.get("/sources", headers=bearer(crawler)).json() == {"read by": crawler.key.name}
    assert client.post("/support", headers=bearer(held)).json() == {"sent from": "support-bot"}
    assert client.get("/sources", headers=bearer(held)).json()["type"].endswith("wrong-channel")
    assert client.post("/support", headers=bearer(crawler)).json()["type"].endswith("scope-missing")
    assert client.get("/sources").status_code == 401


@pytest.mark.django_db
def test_the_errors_that_the_page_lists_are_those_that_there_are() -> None:
    listed = set(shown("docs_provider_keys").texts("code")) & {*dir(providers), *dir(sealing)}
    kinds = {kind.__name__ for kind in providers.UnusableUpstream.__subclasses__()}
    assert listed == {*kinds, "UnusableUpstream", "SealingError"}


@pytest.mark.django_db
def test_the_page_shows_every_provider_s_preset() -> None:
    page = shown("docs_provider_keys")
    assert page.find("dl")[0].texts("dt") == [str(provider.label) for provider in Provider]
    assert page.find("dl")[0].texts("dd")[0] == "https://api.openai.com/v1, Authorization: Bearer …"


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "file"), FILES.items(), ids=list(FILES))
def test_a_configuration_is_shown_as_it_is(name: str, file: str) -> None:
    assert text_of(name) == (configured.BASE_DIR / "templates/docs/gateways" / file).read_text().strip("\n")


@pytest.mark.django_db
def test_traefik_asks_what_can_be_asked_and_takes_over_all_that_is_answered() -> None:
    # Without a parser of YAML: what is listed, and what is asked.
    lines = [line.strip() for line in text_of("traefik").splitlines()]
    assert {f"- {name}" for name in gateways.IDENTITY} <= set(lines)
    for name in gateways.IDENTITY:
        assert {f'{name}: ""', f'{name.replace("-", "_")}: ""'} <= set(lines)
    asked = re.findall(r'address: "http://[^/]+/api/v1/authorize\?([^"]+)"', text_of("traefik"))
    assert len(asked) == 2
    for query in asked:
        assert {name for name, _ in parse_qsl(query)} <= set(gateways.AuthorizeQuery.model_fields)


@pytest.mark.django_db
def test_the_page_of_gateways_explains_every_parameter() -> None:
    explained = shown("docs_gateways").find("dl")[0].texts("dt")
    named = {name for each in explained for name in each.split(", ")}
    # The method is explained with what follows from it.
    assert named == set(gateways.AuthorizeQuery.model_fields) - {"method"}


@pytest.mark.django_db
def test_a_new_sealing_key_is_one_that_keyrack_takes() -> None:
    made = subprocess.run(["sh", "-ec", text_of("new-sealing-key")], capture_output=True, text=True)
    first, second = env.byte_key(made.stdout.strip()), env.byte_keys(f"{made.stdout}\n{made.stdout}")[1]
    assert first == second


@pytest.mark.django_db
def test_the_command_that_moves_sealed_values_is_the_one_that_there_is(project: Project) -> None:
    words = shlex.split(text_of("reseal"))
    assert words[:2] == [".venv/bin/python", "manage.py"]
    said = io.StringIO()
    call_command(*words[2:], stdout=said)
    assert said.getvalue() == "1 sealed value: 0 moved to the newest sealing key, 1 under it already.\n"


@pytest.mark.django_db
def test_the_commands_for_the_machine_work(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {name: text for name, _, text in examples()}
    said = [manage(line) for name in COMMANDS for line in texts[name].splitlines()]
    assert ["the chain holds" in text for text in said] == [True, False, True]
    assert json.loads(Path("heads.jsonl").read_text().splitlines()[-1])["project"] == "acme"


def manage(line: str) -> str:
    """Run a line with `manage.py` in it, as a shell would; return what it printed, if not to a file."""
    words, _, file = line.partition(" > ")
    python, script, *command = shlex.split(words)
    assert (python, script) == (".venv/bin/python", "manage.py")
    output = io.StringIO()
    call_command(*command, stdout=output)
    if file:
        Path(file).write_text(output.getvalue())
    return "" if file else output.getvalue()
