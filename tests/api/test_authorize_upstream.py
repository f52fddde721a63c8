"""`authorize` with an upstream: what a gateway is given, and that nobody else is."""

import json
import logging
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from pytest_django import Settings

from config.addresses import TrustedProxies
from keys import lifecycle, problems, providers
from keys.api.gateways import IDENTITY, UPSTREAM
from keys.kinds import KeyType, Provider
from keys.lifecycle import Issued
from projects.audit import Actor
from projects.models import Project
from tests.api.conftest import MakeKey
from tests.api.gates import Ask, Heard
from tests.factories import ProjectFactory, ProviderKeyFactory, UpstreamFactory

pytestmark = pytest.mark.django_db

SECRET: Final = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"


@pytest.fixture
def agent(make: MakeKey) -> Issued:
    return make("Agent", type=KeyType.AGENT, scopes=("agents:run", "providers:use"))


@pytest.fixture
def gateway(make: MakeKey) -> Issued:
    return make("Gateway", scopes=("gateway:use",))


@pytest.fixture(autouse=True)
def _openai(project: Project) -> None:
    add(project, "openai", Provider.OPENAI)


def add(project: Project, slug: str, provider: Provider, **more: Any) -> None:
    key = ProviderKeyFactory(project=project, provider=provider, secret=SECRET, **more)
    UpstreamFactory(project=project, slug=slug, provider_key=key.public_id)


def call(ask: Ask, agent: Issued, gateway: Issued | str, /, peer: str = "127.0.0.1", **asked: str) -> Heard:
    proof = gateway if isinstance(gateway, str) else gateway.token
    headers = {"Authorization": f"Bearer {agent.token}", "X-Keyrack-Gateway": proof}
    query = {"project": "acme", "upstream": "openai"} | asked
    heard = ask(query=urlencode(query), headers=headers, peer=peer)
    assert (heard.status == 200) is (SECRET in str(heard))
    return heard


def code(heard: Heard) -> str:
    kind: str = json.loads(heard.body)["type"].removeprefix(problems.URN)
    return kind


def test_a_gateway_is_given_what_to_call_the_upstream_with(ask: Ask, agent: Issued, gateway: Issued) -> None:
    heard = call(ask, agent, gateway)
    assert heard.headers["Cache-Control"] == "no-store"
    assert heard.headers["X-Keyrack-Key-Id"] == agent.key.key_id
    assert set(IDENTITY) <= set(heard.headers)
    assert {name: heard.headers[name] for name in UPSTREAM} == {
        "X-Keyrack-Upstream-Url": "https://api.openai.com/v1",
        "X-Keyrack-Upstream-Authorization": f"Bearer {SECRET}",
        "X-Keyrack-Upstream-X-Api-Key": "",
        "X-Keyrack-Upstream-X-Goog-Api-Key": "",
        "X-Keyrack-Upstream-Api-Key": "",
    }


@pytest.mark.parametrize(
    ("provider", "header", "more"),
    [
        (Provider.ANTHROPIC, "X-Api-Key", {}),
        (Provider.GOOGLE, "X-Goog-Api-Key", {}),
        (Provider.AZURE, "Api-Key", {"base_url": "https://acme.openai.azure.com"}),
        (Provider.CUSTOM, "X-Provider-Key", {"base_url": "https://llm.acme.com", "header": "x-provider-key"}),
        # One of a preset's in other letters is still that one.
        (Provider.CUSTOM, "X-Api-Key", {"base_url": "https://llm.acme.com", "header": "X-API-KEY"}),
    ],
)
def test_each_header_of_a_preset_is_always_there(
    ask: Ask,
    project: Project,
    agent: Issued,
    gateway: Issued,
    provider: Provider,
    header: str,
    more: dict[str, Any],
) -> None:
    add(project, "other", provider, name="Other", **more)
    given = call(ask, agent, gateway, upstream="other").headers
    values = {name: given[name] for name in given if name.startswith("X-Keyrack-Upstream-")}
    assert set(UPSTREAM) <= set(values)
    assert [name for name, value in values.items() if SECRET in value] == [f"X-Keyrack-Upstream-{header}"]


def test_no_header_of_a_provider_key_takes_the_place_of_the_address(
    ask: Ask, project: Project, agent: Issued, gateway: Issued
) -> None:
    add(project, "odd", Provider.CUSTOM, name="Odd", base_url="https://llm.acme.com", header="Url")
    headers = {"Authorization": f"Bearer {agent.token}", "X-Keyrack-Gateway": gateway.token}
    heard = ask(query="project=acme&upstream=odd", headers=headers)
    assert heard.headers["X-Keyrack-Upstream-Url"] == "https://llm.acme.com"
    assert SECRET not in str(heard)


def test_without_an_upstream_nothing_of_one_is_said(ask: Ask, agent: Issued, gateway: Issued) -> None:
    headers = {"Authorization": f"Bearer {agent.token}", "X-Keyrack-Gateway": gateway.token}
    heard = ask(query="project=acme", headers=headers)
    assert heard.status == 200
    assert not [name for name in heard.headers if "Upstream" in name]


def test_the_agent_with_all_it_has_gets_403_and_nothing_is_unsealed(
    ask: Ask, agent: Issued, make: MakeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsealed(*args: Any) -> None:
        raise AssertionError("something was unsealed")

    monkeypatch.setattr(providers, "_opened_value", unsealed)
    everything = make("Everything", type=KeyType.PRIVILEGED)
    for proof in ("", " ", "x", agent.token, agent.token[:-1], f"Bearer {agent.token}", everything.token):
        heard = call(ask, agent, proof)
        assert (heard.status, code(heard)) == (403, "gateway-needed")
    assert call(ask, everything, agent).status == 403


def test_one_key_is_not_both_agent_and_gateway(ask: Ask, make: MakeKey) -> None:
    both = make("Both", scopes=("gateway:use", "providers:use"))
    heard = call(ask, both, both)
    assert (heard.status, code(heard)) == (403, "gateway-needed")
    assert "the client's own key" in json.loads(heard.body)["detail"]
    assert call(ask, both, make("Another", scopes=("gateway:use",))).status == 200


def test_the_agents_key_needs_providers_use(ask: Ask, make: MakeKey, gateway: Issued) -> None:
    heard = call(ask, make("Runs only", type=KeyType.AGENT, scopes=("agents:run",)), gateway)
    assert (heard.status, code(heard)) == (403, "scope-missing")
    assert 'scope="providers:use"' in heard.headers["WWW-Authenticate"]
    assert call(ask, make("Everything", type=KeyType.PRIVILEGED), gateway).status == 200


def test_a_gateways_key_is_checked_like_any_other(
    ask: Ask, project: Project, agent: Issued, gateway: Issued, make: MakeKey, at: datetime
) -> None:
    scopes = ("gateway:use",)
    elsewhere = make(project=ProjectFactory(slug="elsewhere"), scopes=scopes)
    test = make("Test", scopes=scopes, environment="test")
    far = make("Far", scopes=scopes, networks=["192.0.2.0/24"])
    paused = make("Paused", scopes=scopes)
    lifecycle.pause(project, paused.key.key_id, actor=Actor.system("Mara"), at=at)
    for issued in (elsewhere, test, far, paused):
        heard = call(ask, agent, issued)
        assert (heard.status, code(heard)) == (403, "gateway-needed")
    assert call(ask, agent, gateway).status == 200
    lifecycle.revoke(project, gateway.key.key_id, actor=Actor.system("Mara"), at=at)
    heard = call(ask, agent, gateway)
    assert (heard.status, code(heard)) == (403, "gateway-needed")
    assert json.loads(heard.body)["detail"].endswith("The key was revoked.")


def test_a_gateways_networks_are_held_against_the_gateway_itself(
    ask: Ask, agent: Issued, make: MakeKey, settings: Settings
) -> None:
    settings.KEYRACK_TRUSTED_PROXIES = TrustedProxies.parse("1")
    bound = make("Bound", scopes=("gateway:use",), networks=["10.0.0.0/8"])
    headers = {
        "Authorization": f"Bearer {agent.token}",
        "X-Keyrack-Gateway": bound.token,
        "X-Forwarded-For": "10.0.0.9",
    }
    asked = "project=acme&upstream=openai"
    assert ask(query=asked, headers=headers, peer="203.0.113.9").status == 403
    headers["X-Forwarded-For"] = "203.0.113.9"
    assert ask(query=asked, headers=headers, peer="10.0.0.9").status == 200


def test_a_gateways_rate_is_held_to_as_well(ask: Ask, agent: Issued, make: MakeKey) -> None:
    limited = make("Limited", scopes=("gateway:use",), rate="1/hour")
    assert call(ask, agent, limited).status == 200
    assert (call(ask, agent, limited).status, call(ask, agent, limited, throttle="403").status) == (429, 403)


def test_a_client_that_does_not_pass_is_told_so_first(ask: Ask, project: Project, gateway: Issued) -> None:
    heard = ask(query="project=acme&upstream=openai", headers={"X-Keyrack-Gateway": gateway.token})
    assert (heard.status, code(heard)) == (401, "no-credentials")


def test_an_upstream_that_is_not_is_the_gateways_mistake(ask: Ask, agent: Issued, gateway: Issued) -> None:
    heard = call(ask, agent, gateway, upstream="nowhere")
    assert (heard.status, code(heard)) == (400, "invalid-parameter")


def test_an_upstream_that_cannot_be_used_names_its_row_in_the_log_alone(
    ask: Ask, project: Project, agent: Issued, gateway: Issued, caplog: pytest.LogCaptureFixture
) -> None:
    UpstreamFactory(project=project, slug="bare")
    broken = ProviderKeyFactory(project=project, name="Broken", secret=SECRET)
    UpstreamFactory(project=project, slug="broken", provider_key=broken.public_id)
    type(broken).objects.filter(pk=broken.pk).update(sealed=b"\x01" * 60)
    private = ProviderKeyFactory(project=project, name="Private", secret=SECRET)
    UpstreamFactory(project=project, slug="private", provider_key=private.public_id)
    type(private).objects.filter(pk=private.pk).update(base_url="https://10.0.0.1")
    for slug, said in (("bare", "No provider key"), ("broken", "“Broken”"), ("private", "“Private”")):
        with caplog.at_level(logging.ERROR, logger="keyrack.authorization"):
            caplog.clear()
            heard = call(ask, agent, gateway, upstream=slug)
        assert (heard.status, code(heard)) == (400, "upstream-unusable")
        assert "Broken" not in heard.body.decode()
        (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
        assert said in line
        assert SECRET not in line
