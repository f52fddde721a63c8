import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from argon2 import PasswordHasher
from django.db import connection, connections

from keys import lifecycle, tokens, verification
from keys.kinds import NEVER_EXPIRES, Environment, KeyType
from keys.lifecycle import Issued
from keys.models import Key
from keys.tokens import Token
from keys.verification import Facts, Outcome, Verdict, _Memo, check, proves
from projects.audit import Actor
from projects.models import Project
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def fresh_memo(monkeypatch: pytest.MonkeyPatch) -> _Memo:
    """A memory of its own for each test: what another test checked is unknown."""
    memo = _Memo(size=100)
    monkeypatch.setattr(verification, "_memo", memo)
    return memo


@pytest.fixture
def issued(project: Project, at: datetime) -> Issued:
    return IssuedFactory(
        project=project, at=at - DAY, name="Docs crawler", scopes=["sources:read", "chat:send"]
    )


def token_of(issued: Issued) -> Token:
    token = tokens.parse(issued.token)
    assert token is not None
    return token


def test_a_good_token_comes_with_the_facts_of_its_key(issued: Issued, at: datetime) -> None:
    verdict = check(
        issued.token, at=at, project="acme", scopes=["chat:send", "sources:read"], environment="live"
    )
    key = Key.objects.get(pk=issued.key.pk)
    assert verdict == Verdict(
        Outcome.VALID,
        Facts(
            key.pk, key.key_id, "Docs crawler", "restricted", "live", "chat:send sources:read",
            key.project_id, "acme", "Acme", key.created_at, NEVER_EXPIRES, None, "", "",
        ),
    )  # fmt: skip
    assert verdict.is_valid
    assert verdict.facts is not None
    assert verdict.facts.created_at.tzinfo is not None
    assert verdict.facts.created_at.utcoffset() == timedelta(0)
    assert verdict.facts.expires is None


def test_the_facts_hold_no_hash_and_no_secret(issued: Issued, at: datetime) -> None:
    verdict = check(issued.token, at=at)
    assert "$argon2" not in repr(verdict)
    assert token_of(issued).secret not in repr(verdict)
    assert not {"secret_hash", "last4", "sealed"} & set(Facts._fields)


def test_an_end_is_among_the_facts(project: Project, at: datetime) -> None:
    end = datetime(2031, 5, 6, 7, 8, 9, 123456, tzinfo=UTC)
    verdict = check(IssuedFactory(project=project, at=at, expires_at=end).token, at=at)
    assert verdict.facts is not None
    assert verdict.facts.expires == end


# The order of the outcomes.

FLAWS = {
    "revoked": Outcome.REVOKED,
    "expired": Outcome.EXPIRED,
    "paused": Outcome.PAUSED,
    "environment": Outcome.WRONG_ENVIRONMENT,
    "scope": Outcome.SCOPE_MISSING,
}


def test_of_all_that_is_wrong_the_first_in_order_is_answered(project: Project, at: datetime) -> None:
    for flags in product([True, False], repeat=len(FLAWS)):
        wrong = [flaw for flaw, flag in zip(FLAWS, flags, strict=True) if flag]
        end = at if "expired" in wrong else at + DAY
        issued = IssuedFactory(project=project, at=at - DAY, expires_at=end)
        Key.objects.filter(pk=issued.key.pk).update(
            paused_at=at if "paused" in wrong else None,
            revoked_at=at if "revoked" in wrong else None,
        )
        asked: dict[str, Any] = {
            "at": at,
            "environment": "test" if "environment" in wrong else "live",
            "scopes": ["sources:read", "sources:write"] if "scope" in wrong else ["sources:read"],
        }
        verdict = check(issued.token, project="acme", **asked)
        assert verdict.outcome is (FLAWS[wrong[0]] if wrong else Outcome.VALID), wrong
        assert verdict.facts is not None
        # Before all of these: whose key it is, and whether it is one.
        assert check(issued.token, project="other", **asked) == Verdict(Outcome.UNKNOWN)
        token = token_of(issued)
        other = Token(token.environment, token.key_id, tokens.generate("live").secret)
        assert check(other.text, **asked) == Verdict(Outcome.UNKNOWN)
        assert check(issued.token[:-1], **asked) == Verdict(Outcome.MALFORMED)


def test_the_outcomes_are_declared_in_the_order_in_which_they_are_found() -> None:
    assert list(Outcome) == [
        Outcome.MALFORMED, Outcome.UNKNOWN, Outcome.REVOKED, Outcome.EXPIRED, Outcome.PAUSED,
        Outcome.WRONG_ENVIRONMENT, Outcome.NETWORK_NOT_ALLOWED, Outcome.WRONG_CHANNEL, Outcome.SCOPE_MISSING,
        Outcome.RATE_LIMITED, Outcome.VALID,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("expires_in", "outcome"),
    [
        (timedelta(microseconds=1), Outcome.VALID),
        (timedelta(0), Outcome.EXPIRED),
        (timedelta(microseconds=-1), Outcome.EXPIRED),
    ],
)
def test_a_key_lives_up_to_its_end_and_not_at_it(
    project: Project, at: datetime, expires_in: timedelta, outcome: Outcome
) -> None:
    issued = IssuedFactory(project=project, at=at - DAY, expires_at=at + expires_in)
    assert check(issued.token, at=at).outcome is outcome


@pytest.mark.parametrize("environment", Environment.values)
def test_a_key_of_one_environment_opens_no_gate_of_the_other(
    project: Project, at: datetime, environment: str
) -> None:
    issued = IssuedFactory(project=project, environment=environment)
    for gate in Environment.values:
        expected = Outcome.VALID if gate == environment else Outcome.WRONG_ENVIRONMENT
        assert check(issued.token, at=at, environment=gate).outcome is expected
    assert check(issued.token, at=at, environment=None).is_valid


def test_the_gate_is_live_unless_another_is_named(project: Project, at: datetime) -> None:
    issued = IssuedFactory(project=project, environment="test")
    assert check(issued.token, at=at).outcome is Outcome.WRONG_ENVIRONMENT


def test_a_token_that_was_made_to_say_the_other_environment_is_unknown(issued: Issued, at: datetime) -> None:
    token = token_of(issued)
    forged = Token("test", token.key_id, token.secret)
    for environment in ("test", "live", None):
        assert check(forged.text, at=at, environment=environment) == Verdict(Outcome.UNKNOWN)


def test_the_first_scope_that_is_missing_is_named(issued: Issued, at: datetime) -> None:
    verdict = check(issued.token, at=at, scopes=["sources:read", "keys:read", "agents:run"])
    assert (verdict.outcome, verdict.missing) == (Outcome.SCOPE_MISSING, "keys:read")


def test_a_privileged_key_passes_everywhere_but_where_gateway_use_is_asked(
    project: Project, at: datetime
) -> None:
    issued = IssuedFactory(project=project, type=KeyType.PRIVILEGED)
    assert check(issued.token, at=at, scopes=["keys:write", "sources:delete"]).is_valid
    verdict = check(issued.token, at=at, scopes=["gateway:use"])
    assert (verdict.outcome, verdict.missing) == (Outcome.SCOPE_MISSING, "gateway:use")


def test_a_key_of_another_project_is_unknown_there(issued: Issued, at: datetime) -> None:
    other = ProjectFactory(slug="other")
    assert check(issued.token, at=at, project="other") == Verdict(Outcome.UNKNOWN)
    assert check(issued.token, at=at, project="") == Verdict(Outcome.UNKNOWN)
    assert check(IssuedFactory(project=other).token, at=at, project="other").is_valid


def test_the_keys_of_a_deleted_project_are_unknown(project: Project, issued: Issued, at: datetime) -> None:
    assert check(issued.token, at=at).is_valid
    project.deleted_at = at
    project.save(update_fields=["deleted_at"])
    assert check(issued.token, at=at) == Verdict(Outcome.UNKNOWN)


# An unknown id and a wrong secret.


@pytest.fixture
def hashings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hashes that a secret is verified against, as they are."""
    seen: list[str] = []
    verify = tokens.verify_secret

    def noted(stored_hash: str, secret: str) -> bool:
        seen.append(stored_hash)
        return verify(stored_hash, secret)

    monkeypatch.setattr(tokens, "verify_secret", noted)
    return seen


def test_an_unknown_id_and_a_wrong_secret_are_answered_alike_and_cost_the_same(
    issued: Issued, at: datetime, hashings: list[str], django_assert_num_queries: Any
) -> None:
    unknown = tokens.generate("live").text
    wrong = Token("live", token_of(issued).key_id, tokens.generate("live").secret).text
    for text in (unknown, wrong):
        for turn in (1, 2):
            hashings.clear()
            with django_assert_num_queries(1):
                assert check(text, at=at, project="acme") == Verdict(Outcome.UNKNOWN)
            # Once for each text; a client that goes on with it is known.
            assert len(hashings) == (1 if turn == 1 else 0), f"turn {turn}"
            assert all(each.startswith("$argon2id$v=19$m=64,t=1,p=1$") for each in hashings)


def test_no_token_matches_the_decoy(at: datetime) -> None:
    decoy = verification._decoy()
    assert not any(tokens.verify_secret(decoy, tokens.generate("live").secret) for _ in range(20))
    # What does match it has blanks: no token can hold it.
    assert tokens.verify_secret(decoy, "no key has this secret")
    text = Token("live", "0" * 12, "no key has this secret").text
    assert check(text, at=at) == Verdict(Outcome.MALFORMED)


@pytest.mark.parametrize("flaw", ["", "kr_live_", "x" * 64, "kr_live_" + "0" * 56, "\0", "é" * 64])
def test_a_malformed_token_costs_no_query_and_no_hashing(
    at: datetime, hashings: list[str], django_assert_num_queries: Any, flaw: str
) -> None:
    with django_assert_num_queries(0):
        assert check(flaw, at=at) == Verdict(Outcome.MALFORMED)
    assert hashings == []


def test_every_one_character_typo_costs_no_query(
    issued: Issued, at: datetime, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        for place, right in enumerate(issued.token):
            wrong = "x" if right != "x" else "y"
            typo = issued.token[:place] + wrong + issued.token[place + 1 :]
            assert check(typo, at=at).outcome is Outcome.MALFORMED


@pytest.mark.parametrize("scopes", [[], ["sources:read"], ["sources:read", "keys:write"]])
def test_any_other_check_costs_one_query(
    issued: Issued, at: datetime, django_assert_num_queries: Any, scopes: list[str]
) -> None:
    for _ in range(2):
        with django_assert_num_queries(1) as queries:
            check(issued.token, at=at, project="acme", scopes=scopes)
        assert queries[0]["sql"].startswith("SELECT")


def test_old_hashes_go_on_verifying(issued: Issued, at: datetime) -> None:
    secret = token_of(issued).secret
    slow = PasswordHasher(time_cost=2, memory_cost=1024, parallelism=2).hash(secret)
    Key.objects.filter(pk=issued.key.pk).update(secret_hash=slow)
    assert check(issued.token, at=at).is_valid


def test_a_token_reaches_no_log(issued: Issued, at: datetime, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        check(issued.token, at=at, scopes=["keys:read"])
        check(issued.token[:-1], at=at)
    assert token_of(issued).secret[:10] not in caplog.text


# The memo, which remembers that a text matched a hash, and nothing else.


def test_a_match_is_hashed_once_and_its_row_read_each_time(
    issued: Issued, at: datetime, hashings: list[str], django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(5):
        for _ in range(5):
            assert check(issued.token, at=at).is_valid
    assert len(hashings) == 1


@pytest.mark.parametrize(
    ("columns", "outcome"),
    [
        ({"revoked_at": datetime(2026, 1, 1, tzinfo=UTC)}, Outcome.REVOKED),
        ({"paused_at": datetime(2026, 1, 1, tzinfo=UTC)}, Outcome.PAUSED),
        ({"scopes": "chat:read"}, Outcome.SCOPE_MISSING),
        ({"secret_hash": tokens.hash_secret("another")}, Outcome.UNKNOWN),
    ],
)
def test_a_decision_is_never_remembered(
    issued: Issued, at: datetime, columns: dict[str, Any], outcome: Outcome
) -> None:
    assert check(issued.token, at=at, scopes=["sources:read"]).is_valid
    Key.objects.filter(pk=issued.key.pk).update(**columns)
    assert check(issued.token, at=at, scopes=["sources:read"]).outcome is outcome


def test_a_match_with_an_old_hash_says_nothing_of_the_new_one(
    project: Project, issued: Issued, at: datetime
) -> None:
    assert check(issued.token, at=at).is_valid
    renewed = lifecycle.renew(
        project, issued.key.key_id, actor=Actor.system(), at=at, version=issued.key.version
    )
    assert check(issued.token, at=at) == Verdict(Outcome.UNKNOWN)
    assert check(renewed.token, at=at).is_valid


def test_the_memo_is_bounded_and_forgets_what_was_used_least(hashings: list[str]) -> None:
    memo = _Memo(size=3)
    hashes = {secret: tokens.hash_secret(secret) for secret in "abcd"}
    for secret in "abcacacd":
        assert memo.matches(f"text {secret}", secret, hashes[secret])
    assert len(memo._right) == 3
    hashings.clear()
    for secret in "acd":
        memo.matches(f"text {secret}", secret, hashes[secret])
    assert hashings == []
    memo.matches("text b", "b", hashes["b"])
    assert hashings == [hashes["b"]]


def test_wrong_secrets_are_hashed_once_each_and_push_no_right_one_out(hashings: list[str]) -> None:
    memo, stored = _Memo(size=3), tokens.hash_secret("right")
    assert memo.matches("text right", "right", stored)
    hashings.clear()
    for secret in ("b", "c", "d", "e", "e", "d", "b"):
        assert not memo.matches(f"text {secret}", secret, stored)
    # The first one was forgotten meanwhile.
    assert len(hashings) == 5
    assert memo.matches("text right", "right", stored)
    assert len(hashings) == 5


def test_the_memo_holds_no_token(fresh_memo: _Memo, issued: Issued, at: datetime) -> None:
    check(issued.token, at=at)
    assert [len(digest) for digest in fresh_memo._right] == [16]
    held = repr(vars(fresh_memo))
    for part in (issued.token, token_of(issued).secret, token_of(issued).key_id):
        assert part not in held
        assert part.encode() not in b"".join(fresh_memo._right)


def test_the_memo_of_another_process_knows_the_same_token_by_another_digest(
    fresh_memo: _Memo, issued: Issued, at: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    check(issued.token, at=at)
    other = _Memo(size=3)
    monkeypatch.setattr(verification, "_memo", other)
    check(issued.token, at=at)
    assert not set(other._right) & set(fresh_memo._right)


def test_the_process_s_own_memo_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert 0 < verification._memo._size <= 100_000


@pytest.mark.parametrize("state", ["living", "expired", "paused", "revoked"])
def test_a_key_proves_itself_whatever_its_state(
    issued: Issued, at: datetime, state: str, django_assert_num_queries: Any
) -> None:
    columns: dict[str, dict[str, Any]] = {
        "living": {"note": ""}, "expired": {"expires_at": at}, "paused": {"paused_at": at},
        "revoked": {"revoked_at": at},
    }  # fmt: skip
    Key.objects.filter(pk=issued.key.pk).update(**columns[state])
    key = Key.objects.get(pk=issued.key.pk)
    token = token_of(issued)
    with django_assert_num_queries(0):
        assert proves(key, issued.token)
        assert not proves(key, issued.token[:-1])
        assert not proves(key, tokens.generate("live").text)
        assert not proves(key, Token("test", token.key_id, token.secret).text)
        assert not proves(key, Token("live", token.key_id, tokens.generate("live").secret).text)
        assert not proves(key, Token("live", "0" * 12, token.secret).text)


# Other connections.


@pytest.fixture
def elsewhere() -> Iterator[ThreadPoolExecutor]:
    """One other thread, with a connection of its own that stays open between checks."""
    with ThreadPoolExecutor(1) as pool:
        yield pool
        pool.submit(connections.close_all).result()


@pytest.mark.django_db(transaction=True)
def test_a_key_stops_at_the_first_check_after_its_revocation_on_every_connection(
    project: Project, issued: Issued, at: datetime, elsewhere: ThreadPoolExecutor
) -> None:
    def there() -> Outcome:
        return elsewhere.submit(check, issued.token, at=at).result().outcome

    for _ in range(3):
        assert there() is Outcome.VALID
    lifecycle.revoke(project, issued.key.key_id, actor=Actor.system(), at=at)
    assert there() is Outcome.REVOKED
    assert check(issued.token, at=at).outcome is Outcome.REVOKED


@pytest.mark.django_db(transaction=True)
def test_a_check_leaves_no_transaction_open(
    issued: Issued, at: datetime, elsewhere: ThreadPoolExecutor
) -> None:
    def check_and_look() -> tuple[Outcome, bool, Any]:
        outcome = check(issued.token, at=at).outcome
        return outcome, connection.get_autocommit(), _open_transaction()

    assert elsewhere.submit(check_and_look).result() == (Outcome.VALID, True, False)


def _open_transaction() -> bool:
    raw: Any = connection.connection
    if connection.vendor == "sqlite":
        return bool(raw.in_transaction)
    return bool(raw.info.transaction_status.name != "IDLE")
