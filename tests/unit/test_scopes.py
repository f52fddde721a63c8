import pytest
from hypothesis import given
from hypothesis import strategies as st

from keys import scopes
from keys.kinds import KeyType
from keys.scopes import Grant
from projects.models import FIRST_CATALOGUE

CATALOGUE = [f"{name}:{action}" for name, actions in FIRST_CATALOGUE.items() for action in actions]

part = st.from_regex(r"\A[a-z][a-z0-9-]{0,20}\Z")
scope_texts = st.builds("{}:{}".format, part, part)


@given(scope_texts)
def test_a_resource_and_an_action_are_a_scope(text: str) -> None:
    assert scopes.is_scope(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "sources", "sources:", ":read", "sources:*", "*:read", "Sources:read", "sources:Read",
        "sources:read:all", "sources:read ", "sources:read\n", "sources: read", "1sources:read",
        "-sources:read", "sources:1read", "quellen-äöü:read", "sources/read", "sources:read sources:write",
    ],
)  # fmt: skip
def test_anything_else_is_none(text: str) -> None:
    assert not scopes.is_scope(text)


def test_the_first_catalogue_holds_scopes_alone() -> None:
    assert all(scopes.is_scope(scope) for scope in CATALOGUE)


def test_scopes_are_stored_sorted_once_each_with_blanks_between() -> None:
    assert scopes.join(["sources:write", "chat:send", "sources:write"]) == "chat:send sources:write"
    assert scopes.join([]) == ""


@pytest.mark.parametrize("key_type", [KeyType.PRIVILEGED, KeyType.SYSTEM])
def test_everything_grants_all_but_gateway_use(key_type: str) -> None:
    grant = Grant.of(key_type, "")
    assert [scope for scope in CATALOGUE if not grant.allows(scope)] == ["gateway:use"]
    assert grant.allows("invoices:approve")


def test_a_locked_down_viewer_reads_what_it_may_and_chats() -> None:
    grant = Grant.of(KeyType.VIEWER, "")
    assert {scope for scope in CATALOGUE if grant.allows(scope)} == {
        "sources:read", "agents:read", "workflows:read", "chat:read", "chat:send",
    }  # fmt: skip


@given(part)
def test_a_locked_down_viewer_changes_nothing_of_any_resource(resource: str) -> None:
    grant = Grant.of(KeyType.VIEWER, "")
    for action in ("write", "delete", "run", "use", "send", "readall", "re-read"):
        assert grant.allows(f"{resource}:{action}") is (f"{resource}:{action}" == "chat:send")
    assert grant.allows(f"{resource}:read") is (resource not in ("keys", "settings"))


def test_a_restricted_key_is_granted_the_scopes_picked_and_no_others() -> None:
    grant = Grant.of(KeyType.RESTRICTED, "gateway:use sources:read")
    assert {scope for scope in CATALOGUE if grant.allows(scope)} == {"sources:read", "gateway:use"}


@given(st.sets(scope_texts, min_size=1, max_size=4), scope_texts)
def test_a_picked_scope_is_no_wildcard_and_no_prefix(picked: set[str], asked: str) -> None:
    assert Grant.of(KeyType.RESTRICTED, scopes.join(picked)).allows(asked) is (asked in picked)


@pytest.mark.parametrize("stored", ["*", "sources:*", "*:read", "sources"])
def test_a_star_that_was_stored_by_hand_grants_nothing(stored: str) -> None:
    grant = Grant.of(KeyType.RESTRICTED, stored)
    assert not any(grant.allows(scope) for scope in CATALOGUE)


def test_a_type_that_nobody_knows_is_granted_nothing() -> None:
    assert not any(Grant.of("superuser", "").allows(scope) for scope in CATALOGUE)


def test_a_grant_is_listed_by_the_scopes_it_covers() -> None:
    assert Grant.of(KeyType.PRIVILEGED, "").listed(CATALOGUE) == ["*"]
    assert Grant.of(KeyType.RESTRICTED, "old:scope sources:read").listed(CATALOGUE) == [
        "old:scope", "sources:read",
    ]  # fmt: skip
    assert Grant.of(KeyType.VIEWER, "").listed(CATALOGUE) == [
        "agents:read", "chat:read", "chat:send", "sources:read", "workflows:read",
    ]  # fmt: skip


def test_only_what_could_widen_an_operators_reach_is_above_operators() -> None:
    assert {scope for scope in CATALOGUE if scopes.above_operators(scope)} == {
        "keys:read", "keys:write", "settings:read", "settings:write", "gateway:use",
    }  # fmt: skip
    assert not scopes.above_operators("keys-of-doors:open")


grants = st.one_of(
    st.just(Grant(everything=True)),
    st.just(Grant(reads=True)),
    st.builds(Grant, picked=st.frozensets(st.sampled_from(CATALOGUE), max_size=6)),
)
any_scope = st.one_of(st.sampled_from(CATALOGUE), scope_texts, part.map("{}:read".format))


@given(grants, grants, any_scope)
def test_a_grant_within_another_allows_nothing_that_the_other_does_not(
    inner: Grant, outer: Grant, scope: str
) -> None:
    if inner.lies_within(outer):
        assert outer.allows(scope) or not inner.allows(scope)


@given(grants, grants)
def test_a_grant_that_allows_more_lies_not_within(inner: Grant, outer: Grant) -> None:
    beyond = [s for s in [*CATALOGUE, "invoices:read", "invoices:pay"] if inner.allows(s)]
    assert inner.lies_within(outer) is all(outer.allows(scope) for scope in beyond)


@given(grants)
def test_a_grant_lies_within_itself(grant: Grant) -> None:
    assert grant.lies_within(grant)
    assert Grant().lies_within(grant)
