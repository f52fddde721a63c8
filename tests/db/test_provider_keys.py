"""The verbs on provider keys and upstreams, and what an upstream is called with."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from keys import kinds, providers
from keys.kinds import Provider
from keys.models import ProviderKey, Upstream
from keys.permissions import KeyActor
from keys.provider_drafts import ProviderDraft, ProviderEdit
from keys.providers import (
    NoProviderKey,
    PrivateAddress,
    Stale,
    UnknownUpstream,
    UnusableUpstream,
    authorization_for,
    create_provider_key,
    create_upstream,
    delete_provider_key,
    delete_upstream,
    edit_provider_key,
    select_provider_key,
)
from keys.sealing import SealingError
from projects import audit
from projects.audit import Actor
from projects.lifecycle import set_private_upstreams
from projects.models import Project, Role, User
from tests.db.watching import events, everything, writes_of
from tests.factories import (
    IssuedFactory,
    MembershipFactory,
    ProjectFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    UserFactory,
    acting,
)

pytestmark = pytest.mark.django_db

VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
OTHER = "sk-proj-aB3dE5gH7jK9mN1pQ3rS5tU7"
DRAFT = ProviderDraft("Main OpenAI", Provider.OPENAI, VALUE)


@pytest.fixture
def actor(project: Project, admin: User) -> Actor:
    return acting(admin, project, "192.0.2.41")


@pytest.fixture
def key(project: Project, actor: Actor, at: datetime) -> ProviderKey:
    return create_provider_key(project, DRAFT, actor=actor, at=at)


@pytest.fixture
def upstream(project: Project, key: ProviderKey, actor: Actor, at: datetime) -> Upstream:
    return create_upstream(project, "gpt-5", provider_key=key.public_id, actor=actor, at=at)


def again(key: ProviderKey) -> ProviderKey:
    return ProviderKey.objects.get(pk=key.pk)


def wrong(verb: Callable[[], object]) -> dict[str, list[str]]:
    """Run the verb; return what it refuses, by field. Nothing may be left behind."""
    before = everything()
    with pytest.raises(ValidationError) as refused:
        verb()
    assert everything() == before
    assert VALUE not in str(refused.value)
    return dict(refused.value.message_dict) if hasattr(refused.value, "error_dict") else {
        "": refused.value.messages
    }  # fmt: skip


# Create


def test_it_stores_a_key_sealed_and_says_who_and_where(
    project: Project, key: ProviderKey, at: datetime
) -> None:
    stored = again(key)
    assert (stored.name, stored.name_folded, stored.provider) == ("Main OpenAI", "main openai", "openai")
    assert (stored.base_url, stored.header, stored.prefix) == (
        "https://api.openai.com/v1", "Authorization", "Bearer",
    )  # fmt: skip
    assert (stored.mask, stored.created_by_label, stored.version) == ("sk-…pD7", "Ada Okafor", 1)
    assert stored.created_at == stored.updated_at == at
    assert VALUE.encode() not in bytes(stored.sealed)
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id, event.object_label, event.address) == (
        "provider_key.created", "provider_key", key.public_id, "Main OpenAI", "192.0.2.41",
    )  # fmt: skip
    assert event.changes == {
        "provider": "openai",
        "base_url": "https://api.openai.com/v1",
        "header": "Authorization",
        "prefix": "Bearer",
    }


def test_the_preset_counts_where_nothing_is_said(project: Project, actor: Actor, at: datetime) -> None:
    made = [
        ({"provider": "anthropic"}, ("https://api.anthropic.com", "x-api-key", "")),
        ({"provider": "mistral", "prefix": "Token"}, ("https://api.mistral.ai/v1", "Authorization", "Token")),
        # Who names the header means the prefix as well, or none.
        ({"provider": "openai", "header": "api-key"}, ("https://api.openai.com/v1", "api-key", "")),
        (
            {"provider": "custom", "base_url": "https://llm.example.com"},
            ("https://llm.example.com", "Authorization", "Bearer"),
        ),
        (
            {"provider": "azure-openai", "base_url": "https://acme.openai.azure.com/openai/"},
            ("https://acme.openai.azure.com/openai", "api-key", ""),
        ),
    ]
    for number, (given, expected) in enumerate(made):
        draft = ProviderDraft(**{"name": f"Key {number}", "secret": VALUE, **given})
        stored = create_provider_key(project, draft, actor=actor, at=at)
        assert (stored.base_url, stored.header, stored.prefix) == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": " "}, {"name": ["Enter a name."]}),
        ({"name": "x" * 101}, {"name": ["Use 100 characters or fewer."]}),
        ({"name": "a\u200bb"}, {"name": ["Use letters, digits, blanks and punctuation that can be seen."]}),
        ({"provider": "nobody"}, {"provider": ["Choose a provider."]}),
        ({"provider": ""}, {"provider": ["Choose a provider."]}),
        ({"provider": "custom"}, {"base_url": ["Enter the base URL."]}),
        ({"provider": "azure-openai"}, {"base_url": ["Enter the base URL."]}),
        ({"secret": ""}, {"secret": ["Enter the value."]}),
        (
            {"secret": f"{VALUE}\n"},
            {"secret": ["The value has spaces or line breaks around it: paste the key alone."]},
        ),
        (
            {"base_url": "https://api.anthropic.com"},
            {"base_url": ["That is the base URL of Anthropic, not of OpenAI."]},
        ),
        (
            {"base_url": "http://localhost:11434"},
            {"base_url": ["Begin the base URL with https://. Over http anybody on the way reads the key."]},
        ),
        (
            {"base_url": "https://10.0.0.1"},
            {"base_url": ["The base URL leads to a private address. Staff can allow that for a project."]},
        ),
        ({"header": "Host"}, {"header": ["No key goes in “Host”: it means something else on the way."]}),
        ({"prefix": "two words"}, {"prefix": ["Use one word such as Bearer, or leave it empty."]}),
    ],
)
def test_what_breaks_a_rule_is_told_by_field(
    project: Project, actor: Actor, at: datetime, given: dict[str, str], said: dict[str, list[str]]
) -> None:
    draft = replace(DRAFT, **given)
    assert wrong(lambda: create_provider_key(project, draft, actor=actor, at=at)) == said


def test_all_that_is_wrong_is_told_at_once(project: Project, actor: Actor, at: datetime) -> None:
    draft = ProviderDraft("", "openai", " ", base_url="x", header="Host", prefix="a b")
    said = wrong(lambda: create_provider_key(project, draft, actor=actor, at=at))
    assert set(said) == {"name", "base_url", "header", "prefix", "secret"}
    draft = ProviderDraft("", "", "")
    said = wrong(lambda: create_provider_key(project, draft, actor=actor, at=at))
    assert said == {
        "provider": ["Choose a provider."], "name": ["Enter a name."], "secret": ["Enter the value."],
    }  # fmt: skip


def test_a_name_is_taken_once_in_a_project_whatever_its_case(
    project: Project, key: ProviderKey, actor: Actor, at: datetime
) -> None:
    draft = replace(DRAFT, name="ＭＡＩＮ openai")
    said = wrong(lambda: create_provider_key(project, draft, actor=actor, at=at))
    assert said == {"name": ["Another provider key is called “Main OpenAI”."]}
    assert ProviderKeyFactory(project=ProjectFactory(), name="Main OpenAI").name == key.name


@pytest.mark.parametrize("name", ["name", "base_url", "header", "prefix"])
@pytest.mark.parametrize("secret", [VALUE, "0123456789abcdef0123456789abcdef", "plain-one"])
def test_a_value_that_was_pasted_twice_is_stored_nowhere_in_clear(
    project: Project, actor: Actor, at: datetime, name: str, secret: str
) -> None:
    text = f"https://api.example.com/{secret.upper()}" if name == "base_url" else secret
    draft = replace(DRAFT, provider="custom", base_url="https://llm.example.com", secret=secret)
    said = wrong(lambda: create_provider_key(project, replace(draft, **{name: text}), actor=actor, at=at))
    assert set(said) == {name}


def test_a_project_has_no_more_than_can_be_chosen_from(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert (kinds.MOST_PROVIDER_KEYS, kinds.MOST_UPSTREAMS) == (200, 1000)
    monkeypatch.setattr(providers, "MOST_PROVIDER_KEYS", 1)
    monkeypatch.setattr(providers, "MOST_UPSTREAMS", 1)
    second = replace(DRAFT, name="Second")
    assert wrong(lambda: create_provider_key(project, second, actor=actor, at=at)) == {
        "": ["A project has at most 1 provider keys. Delete one first."]
    }
    assert wrong(lambda: create_upstream(project, "second", actor=actor, at=at)) == {
        "": ["A project has at most 1 upstreams. Delete one first."]
    }


# Edit


def edit(key: ProviderKey, actor: Actor, at: datetime, *, version: int | None = None, **given: Any) -> Any:
    return edit_provider_key(
        key.project, key.public_id, ProviderEdit(**given), actor=actor, at=at,
        version=key.version if version is None else version,
    )  # fmt: skip


def test_it_renames_and_the_value_stays(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    later = at + timedelta(hours=1)
    edit(key, actor, later, name=" Spare  OpenAI ")
    stored = again(key)
    assert (stored.name, stored.name_folded, stored.version) == ("Spare OpenAI", "spare openai", 2)
    assert (stored.created_at, stored.updated_at) == (at, later)
    assert bytes(stored.sealed) == bytes(key.sealed)
    assert events(project)[-1].changes == {"name": ["Main OpenAI", "Spare OpenAI"]}
    assert authorization_for(project, "gpt-5").value == f"Bearer {VALUE}"


def test_it_replaces_the_value_and_the_log_says_that_and_no_more(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    edit(key, actor, at, secret=OTHER)
    assert again(key).mask == "sk-…tU7"
    assert authorization_for(project, "gpt-5").value == f"Bearer {OTHER}"
    event = events(project)[-1]
    assert (event.verb, event.changes) == ("provider_key.edited", {"value": "replaced"})


def test_it_leads_elsewhere_with_the_value_given_again(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    elsewhere: dict[str, Any] = {
        "base_url": "https://eu.api.openai.com/v1/",
        "header": "x-api-key",
        "prefix": "",
    }
    edit(key, actor, at, secret=VALUE, **elsewhere)
    found = authorization_for(project, "gpt-5")
    assert (found.base_url, found.header, found.value) == ("https://eu.api.openai.com/v1", "x-api-key", VALUE)
    assert events(project)[-1].changes == {
        "base_url": ["https://api.openai.com/v1", "https://eu.api.openai.com/v1"],
        "header": ["Authorization", "x-api-key"],
        "prefix": ["Bearer", ""],
        "value": "replaced",
    }


@pytest.mark.parametrize(
    "moved", [{"base_url": "https://eu.api.openai.com/v1"}, {"header": "x-api-key"}, {"prefix": "Token"}]
)
def test_without_the_value_it_leads_nowhere_else(
    key: ProviderKey, actor: Actor, at: datetime, moved: dict[str, Any]
) -> None:
    said = "Give the value again: it is sealed for the base URL, the header and the prefix."
    assert wrong(lambda: edit(key, actor, at, **moved)) == {"secret": [said]}


def test_an_address_that_only_differs_in_its_spelling_needs_no_value(
    project: Project, key: ProviderKey, actor: Actor, at: datetime
) -> None:
    before = everything()
    edit(key, actor, at, base_url="HTTPS://API.openai.com:443/v1/", name="Main OpenAI")
    assert everything() == before


def test_an_edit_of_what_breaks_a_rule_is_told_by_field(
    project: Project, key: ProviderKey, actor: Actor, at: datetime
) -> None:
    ProviderKeyFactory(project=project, name="Spare")
    assert wrong(lambda: edit(key, actor, at, name="SPARE")) == {
        "name": ["Another provider key is called “Spare”."]
    }
    bad: dict[str, Any] = {"name": "", "base_url": "", "header": "", "secret": "two words"}
    assert wrong(lambda: edit(key, actor, at, **bad)) == {
        "name": ["Enter a name."],
        "base_url": ["Enter the base URL."],
        "header": ["Enter the header."],
        "secret": ["The value has spaces or line breaks in it: paste one key alone."],
    }


def test_who_saw_it_before_another_s_change_changes_nothing(
    key: ProviderKey, actor: Actor, at: datetime
) -> None:
    edit(key, actor, at, name="Theirs")
    before = everything()
    with pytest.raises(Stale) as stale:
        edit(key, actor, at, name="Mine", secret=OTHER)
    assert isinstance(stale.value.row, ProviderKey)
    assert (stale.value.row.name, stale.value.row.version) == ("Theirs", 2)
    assert everything() == before


# Delete


def test_a_deleted_key_is_gone_and_its_upstreams_are_left_without_one(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    UpstreamFactory(project=project, slug="claude", provider_key=key.public_id)
    UpstreamFactory(project=project, slug="other")
    assert delete_provider_key(project, key.public_id, actor=actor, at=at) == ["claude", "gpt-5"]
    assert not ProviderKey.objects.filter(pk=key.pk).exists()
    left = [(each.slug, each.provider_key, each.version) for each in Upstream.objects.order_by("slug")]
    assert left == [("claude", None, 2), ("gpt-5", None, 2), ("other", None, 1)]
    event = events(project)[-1]
    assert (event.verb, event.object_id, event.object_label) == (
        "provider_key.deleted", key.public_id, "Main OpenAI",
    )  # fmt: skip
    assert event.changes == {"upstreams": [["claude", "gpt-5"], []]}
    with pytest.raises(NoProviderKey, match="No provider key is selected for gpt-5 in acme"):
        authorization_for(project, "gpt-5")
    with pytest.raises(ProviderKey.DoesNotExist):
        delete_provider_key(project, key.public_id, actor=actor, at=at)


# Upstreams


def test_an_upstream_is_made_with_a_key_or_without(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    assert upstream.provider_key == key
    event = events(project)[-1]
    assert (event.verb, event.object_kind, event.object_id) == ("upstream.created", "upstream", "gpt-5")
    assert event.changes == {
        "provider_key": [None, "Main OpenAI"], "provider_key_id": [None, key.public_id],
    }  # fmt: skip
    assert create_upstream(project, "gpt-4.1", actor=actor, at=at).provider_key is None


def test_an_upstream_is_refused_by_field(
    project: Project, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    elsewhere = ProviderKeyFactory()
    unknown = {"provider_key": ["There is no such provider key here."]}

    def made(slug: str, provider_key: str = "") -> dict[str, list[str]]:
        return wrong(lambda: create_upstream(project, slug, provider_key=provider_key, actor=actor, at=at))

    assert made("gpt-5") == {"slug": ["There is an upstream called “gpt-5” already."]}
    assert made("") == {"slug": ["Enter the upstream's name."]}
    assert made("GPT 5") == {
        "slug": ["Use small letters, digits, dots and hyphens, beginning with a letter or a digit."]
    }
    for provider_key in (elsewhere.public_id, "A" * 12, "\0", "x" * 1000):
        assert made("claude", provider_key) == unknown


def test_selecting_another_key_is_all_it_takes_to_switch(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    spare = ProviderKeyFactory(project=project, name="Spare", provider="anthropic", secret=OTHER)
    switched = select_provider_key(project, "gpt-5", spare.public_id, actor=actor, at=at, version=1)
    assert (switched.provider_key, switched.version) == (spare, 2)
    found = authorization_for(project, "gpt-5")
    assert (found.base_url, found.header, found.value) == ("https://api.anthropic.com", "x-api-key", OTHER)
    event = events(project)[-1]
    assert (event.verb, event.changes) == (
        "upstream.selected",
        {
            "provider_key": ["Main OpenAI", "Spare"],
            "provider_key_id": [key.public_id, spare.public_id],
        },
    )
    none = select_provider_key(project, "gpt-5", "", actor=actor, at=at, version=2)
    assert none.provider_key is None


def test_selecting_the_same_key_changes_nothing_however_old_the_page_is(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    before = everything()
    select_provider_key(project, "gpt-5", key.public_id, actor=actor, at=at, version=99)
    assert everything() == before


def test_of_two_who_select_the_second_is_told(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    spare = ProviderKeyFactory(project=project, name="Spare")
    select_provider_key(project, "gpt-5", "", actor=actor, at=at, version=1)
    before = everything()
    with pytest.raises(Stale, match="Another provider key was selected for gpt-5 meanwhile"):
        select_provider_key(project, "gpt-5", spare.public_id, actor=actor, at=at, version=1)
    assert everything() == before


def test_a_key_of_another_project_is_not_selected(
    project: Project, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    elsewhere = ProviderKeyFactory()
    assert wrong(
        lambda: select_provider_key(project, "gpt-5", elsewhere.public_id, actor=actor, at=at, version=1)
    ) == {"provider_key": ["There is no such provider key here."]}


def test_a_deleted_upstream_leaves_its_key(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime
) -> None:
    delete_upstream(project, "gpt-5", actor=actor, at=at)
    assert not Upstream.objects.exists()
    assert again(key) == key
    assert events(project)[-1].changes == {
        "provider_key": ["Main OpenAI", None], "provider_key_id": [key.public_id, None],
    }  # fmt: skip
    # Its name is free again.
    create_upstream(project, "gpt-5", actor=actor, at=at)


# Who may, and where

Verbs = dict[str, Callable[[Actor], object]]


@pytest.fixture
def verbs(project: Project, key: ProviderKey, upstream: Upstream, at: datetime) -> Verbs:
    def new(actor: Actor) -> object:
        return create_provider_key(project, replace(DRAFT, name="Second"), actor=actor, at=at)

    return {
        "create": new,
        "edit": lambda actor: edit(key, actor, at, name="Second"),
        "delete": lambda actor: delete_provider_key(project, key.public_id, actor=actor, at=at),
        "create upstream": lambda actor: create_upstream(project, "second", actor=actor, at=at),
        "select": lambda actor: select_provider_key(project, "gpt-5", "", actor=actor, at=at, version=1),
        "delete upstream": lambda actor: delete_upstream(project, "gpt-5", actor=actor, at=at),
    }


VERBS = ["create", "edit", "delete", "create upstream", "select", "delete upstream"]


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("role", Role)
def test_admins_and_owners_may_and_nobody_below(
    project: Project, verbs: Verbs, verb: str, role: Role
) -> None:
    actor = acting(MembershipFactory(project=project, role=role).user, project)
    before = everything()
    if role >= Role.ADMIN:
        verbs[verb](actor)
        assert everything() != before
    else:
        with pytest.raises(PermissionDenied, match="Ask an admin to do that"):
            verbs[verb](actor)
        assert everything() == before


@pytest.mark.parametrize("verb", VERBS)
def test_no_key_may_whatever_its_scopes(project: Project, verbs: Verbs, verb: str) -> None:
    boss = KeyActor.acting(IssuedFactory(project=project, type="privileged").key)
    before = everything()
    with pytest.raises(PermissionDenied, match="A key can't manage provider keys"):
        verbs[verb](boss)
    assert everything() == before


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_writes_all_or_nothing_and_the_chain_holds(
    project: Project, verbs: Verbs, actor: Actor, verb: str
) -> None:
    assert writes_of(lambda: verbs[verb](actor)) >= 3
    assert audit.verify(project.pk) == []


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_done_in_a_deleted_project(
    project: Project, verbs: Verbs, actor: Actor, verb: str, at: datetime
) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    assert wrong(lambda: verbs[verb](actor)) == {"": ["This project was deleted."]}


def test_the_rows_of_another_project_are_not_there(
    key: ProviderKey, upstream: Upstream, outsider: User, at: datetime
) -> None:
    elsewhere = Project.objects.get(slug="elsewhere")
    theirs = acting(outsider, elsewhere)
    before = everything()
    for verb in (
        lambda: edit_provider_key(
            elsewhere, key.public_id, ProviderEdit(name="Mine"), actor=theirs, at=at, version=1
        ),
        lambda: delete_provider_key(elsewhere, key.public_id, actor=theirs, at=at),
    ):
        with pytest.raises(ProviderKey.DoesNotExist):
            verb()
    for verb_on_upstream in (
        lambda: select_provider_key(elsewhere, "gpt-5", "", actor=theirs, at=at, version=1),
        lambda: delete_upstream(elsewhere, "gpt-5", actor=theirs, at=at),
    ):
        with pytest.raises(Upstream.DoesNotExist):
            verb_on_upstream()
    with pytest.raises(UnknownUpstream):
        authorization_for(elsewhere, "gpt-5")
    assert everything() == before


# Private addresses


@pytest.fixture
def staff(db: None) -> Actor:
    return Actor.person(UserFactory(name="Ines Varga", is_staff=True), Role.OWNER)


def test_staff_allow_private_addresses_and_forbid_them_again(
    project: Project, actor: Actor, staff: Actor, at: datetime
) -> None:
    local = ProviderDraft("Ollama", "custom", VALUE, base_url="http://ollama.internal:11434/v1")
    wrong(lambda: create_provider_key(project, local, actor=actor, at=at))
    set_private_upstreams(project, True, actor=staff, at=at)
    assert events(project)[-1].changes == {"private_upstreams": [False, True]}
    # The caller's own copy of the project is from before: the verb reads it anew.
    key = create_provider_key(project, local, actor=actor, at=at)
    create_upstream(project, "llama", provider_key=key.public_id, actor=actor, at=at)
    assert authorization_for(project, "llama").base_url == "http://ollama.internal:11434/v1"
    set_private_upstreams(project, False, actor=staff, at=at)
    with pytest.raises(PrivateAddress, match="“Ollama” leads to a private address, which acme may not use"):
        authorization_for(project, "llama")
    before = everything()
    set_private_upstreams(project, False, actor=staff, at=at)
    assert everything() == before


def test_what_private_addresses_are_there_for_is_not_a_project_s_to_say(
    project: Project, owner: User, at: datetime
) -> None:
    boss = KeyActor.acting(IssuedFactory(project=project, type="privileged").key)
    for actor in (acting(owner, project), boss):
        with pytest.raises(PermissionDenied, match="Ask staff to do that"):
            set_private_upstreams(project, True, actor=actor, at=at)
    assert not Project.objects.get(pk=project.pk).private_upstreams
    assert set_private_upstreams(project, True, actor=Actor.system(), at=at).private_upstreams


# What an upstream is called with


def test_an_authorization_shows_its_value_to_whoever_asks_for_it_alone(
    project: Project, upstream: Upstream
) -> None:
    found = authorization_for(project, "gpt-5")
    assert (found.base_url, found.header) == ("https://api.openai.com/v1", "Authorization")
    assert found.value == f"Bearer {VALUE}"
    assert VALUE not in repr(found)
    assert VALUE not in repr(DRAFT)
    assert VALUE not in repr(ProviderEdit(secret=VALUE))


def test_it_takes_one_query(project: Project, upstream: Upstream) -> None:
    with CaptureQueriesContext(connection) as queries:
        authorization_for(project, "gpt-5")
    assert len(queries) == 1


@pytest.mark.parametrize("slug", ["claude", "", "GPT-5", "gpt-5\0", "x" * 1000, VALUE])
def test_an_unknown_upstream_is_a_clear_error(project: Project, upstream: Upstream, slug: str) -> None:
    with pytest.raises(UnusableUpstream) as refused:
        authorization_for(project, slug)
    assert type(refused.value) is UnknownUpstream
    assert str(refused.value) == "acme has no such upstream."


def test_a_deleted_project_has_no_upstreams(project: Project, upstream: Upstream, at: datetime) -> None:
    Project.objects.filter(pk=project.pk).update(deleted_at=at)
    with pytest.raises(UnknownUpstream):
        authorization_for(project, "gpt-5")


# Sealed for its place, and nowhere else


@pytest.mark.parametrize(
    "moved",
    [{"base_url": "https://evil.example.com"}, {"header": "x-evil"}, {"prefix": ""}, {"prefix": "Token"}],
)
def test_a_value_whose_address_was_changed_past_the_verb_does_not_open(
    project: Project, key: ProviderKey, upstream: Upstream, moved: dict[str, str]
) -> None:
    ProviderKey.objects.filter(pk=key.pk).update(**moved)
    with pytest.raises(SealingError) as refused:
        authorization_for(project, "gpt-5")
    row = f"The value of the provider key “Main OpenAI” ({key.public_id}) of acme doesn't open."
    assert str(refused.value) == f"{row} The value was changed, or sealed for another place."
    assert VALUE not in repr(refused.value.__context__)


def test_a_value_moved_to_another_row_project_or_column_does_not_open(
    project: Project, key: ProviderKey, upstream: Upstream, at: datetime
) -> None:
    twin = ProviderKeyFactory(project=project, name="Twin", secret=OTHER)
    UpstreamFactory(project=project, slug="twin", provider_key=twin.public_id)
    elsewhere = ProviderKeyFactory(name="Elsewhere", secret=OTHER)
    UpstreamFactory(project=elsewhere.project, slug="there", provider_key=elsewhere.public_id)
    for row, slug in ((twin, "twin"), (elsewhere, "there")):
        ProviderKey.objects.filter(pk=row.pk).update(sealed=key.sealed)
        with pytest.raises(SealingError, match="sealed for another place"):
            authorization_for(row.project, slug)
    automator = project.keys.get(type="system")
    ProviderKey.objects.filter(pk=twin.pk).update(sealed=automator.sealed)
    with pytest.raises(SealingError, match="sealed for another place"):
        authorization_for(project, "twin")


@pytest.mark.parametrize("sealed", [b"", b"x", b"\x01" * 40])
def test_what_is_no_sealed_value_is_a_clear_error(
    project: Project, key: ProviderKey, upstream: Upstream, sealed: bytes
) -> None:
    ProviderKey.objects.filter(pk=key.pk).update(sealed=sealed)
    with pytest.raises(SealingError, match=rf"“Main OpenAI” \({key.public_id}\) of acme doesn't open"):
        authorization_for(project, "gpt-5")


def test_a_lost_sealing_key_is_named_with_the_row_and_the_rest_goes_on(
    project: Project, key: ProviderKey, upstream: Upstream, actor: Actor, at: datetime, settings: Settings
) -> None:
    lost = bytes(again(key).sealed)[1:5].hex()
    settings.KEYRACK_SEALING_KEYS = (b"n" * 32,)
    with pytest.raises(SealingError, match=rf"of acme doesn't open\. The sealing key {lost} is missing\."):
        authorization_for(project, "gpt-5")
    # Given again, it opens: this is the way out.
    edit(key, actor, at, secret=OTHER)
    assert authorization_for(project, "gpt-5").value == f"Bearer {OTHER}"
