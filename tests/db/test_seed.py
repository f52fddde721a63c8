"""`manage.py seed`: a project of invented keys, which holds all that is true of a real one."""

import io
from collections import Counter
from datetime import timedelta
from typing import Any, Final

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from keys.kinds import NEVER_USED, KeyType, Status
from keys.models import DayCount, Key, KeyActivity
from keys.verification import check
from projects import audit
from projects.models import AuditEvent, Membership, Project, Role, User
from projects.names import clean_name, fold
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db

KEYS: Final = 3000


def seed(*arguments: str) -> str:
    out = io.StringIO()
    call_command("seed", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def staff(owner: User) -> User:
    owner.is_staff = True
    owner.save(update_fields=["is_staff"])
    return owner


@pytest.fixture
def seeded(staff: User) -> Project:
    seed("--keys", str(KEYS), "--history", "500")
    return Project.objects.get(slug="northwind")


def test_a_seeded_project_has_every_kind_of_key(seeded: Project) -> None:
    keys, at = list(Key.objects.of(seeded)), timezone.now()
    assert len(keys) == KEYS + 1
    assert {key.type for key in keys} == set(KeyType.values)
    assert {key.environment for key in keys} == {"live", "test"}
    states = Counter(key.status(at) for key in keys)
    assert set(states) >= set(Status) - {Status.ROTATING}
    assert states[Status.ACTIVE] > KEYS / 10
    assert states[Status.REVOKED] > KEYS / 10
    ages = [at - key.created_at for key in keys]
    assert max(ages) > timedelta(days=1000)
    assert min(ages) < timedelta(minutes=10)
    uses = KeyActivity.objects.filter(project=seeded).exclude(last_used_at=NEVER_USED)
    assert KEYS / 3 < uses.count() < KEYS
    assert DayCount.objects.filter(key__project=seeded).count() > KEYS / 10


def test_its_keys_are_as_the_verbs_would_have_made_them(seeded: Project) -> None:
    catalogue = set(seeded.scopes())
    for key in Key.objects.of(seeded).exclude(type=KeyType.SYSTEM):
        assert clean_name(key.name) == key.name
        assert key.name_folded == fold(key.name)
        assert key.holder_folded == fold(key.holder)
        assert set(key.scopes.split()) <= catalogue
        assert key.expires_at > key.created_at
        if key.type == KeyType.AGENT:
            assert key.expires_at == key.created_at + timedelta(days=90)
        use = key.activity.last_used_at
        assert use == NEVER_USED or key.created_at <= use <= timezone.now()
    replaced = Key.objects.filter(project=seeded, successor__isnull=False)
    assert all(key.name == key.successor.name for key in replaced)


def test_its_log_says_what_it_is_and_is_whole(seeded: Project) -> None:
    assert audit.verify(seeded.pk) == []
    events = list(AuditEvent.objects.filter(project_id=seeded.pk).order_by("number"))
    told = next(event for event in events if event.verb == "project.seeded")
    assert told.changes == {"keys": [0, KEYS]}
    past = [event for event in events if event.number > told.number]
    assert sum(event.verb == "key.issued" for event in past) == 500
    assert [event.at for event in past] == sorted(event.at for event in past)


def test_nobody_gets_in_with_what_was_invented(seeded: Project, staff: User) -> None:
    invented = Membership.objects.filter(project=seeded).exclude(user=staff)
    assert invented.count() == 10
    assert not any(member.user.has_usable_password() for member in invented.select_related("user"))
    assert Membership.objects.get(project=seeded, user=staff).role == Role.OWNER
    key = Key.objects.filter(project=seeded, type=KeyType.VIEWER).first()
    assert key is not None
    assert not check(f"kr_live_{key.key_id}{'a' * 44}", at=timezone.now()).is_valid


def test_real_keys_go_on_beside_the_invented_ones(seeded: Project) -> None:
    assert IssuedFactory(project=seeded, name="Mine").key.pk > KEYS


def test_it_is_made_again_beside_another_seeded_one(seeded: Project) -> None:
    said = seed("--keys", "10", "--project", "Northwind", "--history", "0")
    assert said.splitlines()[-1] == "northwind-2: 10 invented keys."
    assert Key.objects.filter(project__slug="northwind-2").count() == 11


def test_an_empty_database_gets_its_first_account(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEYRACK_OWNER_EMAIL", raising=False)
    monkeypatch.delenv("KEYRACK_OWNER_PASSWORD", raising=False)
    said = seed("--keys", "0")
    assert "owner@keyrack.local" in said
    assert said.splitlines()[-1] == "northwind: 0 invented keys."


def test_it_refuses_a_database_with_a_real_project_unless_told(project: Project, staff: User) -> None:
    IssuedFactory(project=project)
    IssuedFactory(project=project)
    with pytest.raises(CommandError, match=r"real projects \(acme\): say --beside-real-projects"):
        seed("--keys", "1")
    assert not Project.objects.filter(slug="northwind").exists()
    seed("--keys", "1", "--beside-real-projects")
    assert Project.objects.filter(slug="northwind").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--keys", "-1"], "whole number"),
        (["--keys", "99999999"], "whole number"),
        (["--keys", "1", "--owner", "nobody@example.test"], "No active account"),
        (["--keys", "1", "--owner", "a\0b"], "No active account"),
        (["--keys", "1", "--owner", "a\udcff"], "No active account"),
        (["--keys", "1", "--project", " "], "Enter a name"),
    ],
)
def test_it_says_what_is_wrong_and_makes_nothing(staff: User, given: list[Any], said: str) -> None:
    before = Project.objects.count()
    with pytest.raises(CommandError, match=said):
        seed(*given)
    assert Project.objects.count() == before
