from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.utils import timezone

from keys.kinds import AUTOMATOR_NAME, KeyType
from keys.models import Key
from projects.lifecycle import create_project
from projects.models import FIRST_CATALOGUE, Membership, Project, Resource, Role, User
from tests.db.watching import events, everything, verbs, writes_of
from tests.factories import ProjectFactory, UserFactory

pytestmark = pytest.mark.django_db


def _saved() -> Project:
    project = Project(name="Acme", slug="acme")
    project.save()
    return project


WAYS: dict[str, Callable[[], Project]] = {
    "create": lambda: Project.objects.create(name="Acme", slug="acme"),
    "save": _saved,
    "get_or_create": lambda: Project.objects.get_or_create(slug="acme", name="Acme")[0],
    "update_or_create": lambda: Project.objects.update_or_create(slug="acme", defaults={"name": "Acme"})[0],
    "factory": lambda: ProjectFactory(name="Acme", slug="acme"),
    "verb": lambda: create_project("Acme", owner=UserFactory(), at=timezone.now()),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_has_its_automator_key_whatever_made_it(way: str) -> None:
    project = WAYS[way]()
    (key,) = project.keys.all()
    assert (key.type, key.name, key.environment) == (KeyType.SYSTEM, AUTOMATOR_NAME, "live")
    assert key.never_expires
    assert key.confirmed_at is not None
    assert key.activity.project_id == project.pk
    assert verbs(project)[:2] == ["project.created", "key.issued"]


@pytest.mark.parametrize("way", WAYS)
def test_it_starts_with_the_first_catalogue(way: str) -> None:
    project = WAYS[way]()
    assert {resource.name: resource.actions for resource in project.catalogue()} == FIRST_CATALOGUE
    assert [resource.name for resource in project.catalogue()] == list(FIRST_CATALOGUE)


def test_saving_it_again_makes_no_second_automator_key(project: Project) -> None:
    project.name = "Acme Ltd"
    project.save(update_fields=["name"])
    Project.objects.get(pk=project.pk).save()
    assert project.keys.count() == 1
    assert project.resources.count() == len(FIRST_CATALOGUE)


@pytest.mark.parametrize("options", [{}, {"ignore_conflicts": True}, {"batch_size": 1}])
def test_it_cannot_be_made_in_bulk(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="one by one"):
        Project.objects.bulk_create([Project(name="Acme", slug="acme")], **options)
    assert not Project.objects.exists()


def test_it_is_not_there_when_its_automator_key_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    owner = UserFactory()
    before = everything()
    settings.KEYRACK_SEALING_KEYS = ()
    for way in ("create", "verb"):
        with pytest.raises(ValueError, match="Sealing keys"):
            WAYS[way]()
        assert everything() == before
    assert owner.memberships.count() == 0


def test_it_is_whole_or_not_there_whichever_write_fails() -> None:
    owner = UserFactory()
    at = timezone.now()
    # Project, catalogue; head, event and head for each of three events; key, activity; membership.
    assert writes_of(lambda: create_project("Acme", owner=owner, at=at)) >= 10
    assert writes_of(lambda: ProjectFactory()) >= 8


def test_whoever_creates_it_is_its_owner_and_the_log_says_so(at: datetime) -> None:
    mara = UserFactory(name="Mara Lindqvist")
    project = create_project("Acme Support", owner=mara, at=at, address="192.0.2.41")
    assert project.slug == "acme-support"
    assert Membership.objects.get(project=project).role == Role.OWNER
    created, issued, added = events(project)
    assert (created.verb, created.object_id, created.object_label) == (
        "project.created", "acme-support", "Acme Support",
    )  # fmt: skip
    assert (created.actor_kind, created.actor_id, created.actor_label, created.address) == (
        "person", str(mara.pk), "Mara Lindqvist", "192.0.2.41",
    )  # fmt: skip
    assert (issued.actor_kind, issued.object_label) == ("system", AUTOMATOR_NAME)
    assert (added.verb, added.object_label) == ("member.added", "Mara Lindqvist")
    assert added.changes == {"role": [None, "Owner"]}
    assert {event.at for event in (created, issued, added)} == {at}


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Acme", "acme"),
        ("  Acme   Support ", "acme-support"),
        ("Größe & Maß", "groe-ma"),
        ("日本語", "project"),
        ("_x_", "x"),
        ("a_b", "a-b"),
        ("New", "new-2"),
        ("x " * 50, ("x-" * 20).strip("-")),
    ],
)
def test_its_address_is_made_from_its_name(name: str, slug: str, at: datetime) -> None:
    assert create_project(name, owner=UserFactory(), at=at).slug == slug


def test_its_address_is_never_used_again_not_even_after_it_is_deleted(
    project: Project, owner: User, at: datetime
) -> None:
    project.deleted_at = at
    project.save(update_fields=["deleted_at"])
    assert create_project("Acme", owner=owner, at=at).slug == "acme-2"
    assert create_project("Acme", owner=owner, at=at).slug == "acme-3"
    with pytest.raises(ValidationError) as caught:
        create_project("Acme", owner=owner, at=at, slug="acme")
    assert caught.value.message_dict == {
        "slug": ["This address is taken, or was: addresses are never reused."]
    }


@pytest.mark.parametrize("slug", ["Acme", "-acme", "a b", "acme\n", "a/b", "ä", "x" * 51, "new"])
def test_an_address_that_does_not_fit_is_refused(slug: str, at: datetime) -> None:
    with pytest.raises(ValidationError) as caught:
        create_project("Acme", owner=UserFactory(), at=at, slug=slug)
    assert list(caught.value.message_dict) == ["slug"]
    assert not Project.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x\u202ey", "Team " * 21, "kr_live_" + "0" * 56])
def test_a_name_that_does_not_fit_is_refused(name: str, at: datetime) -> None:
    with pytest.raises(ValidationError) as caught:
        create_project(name, owner=UserFactory(), at=at)
    assert list(caught.value.message_dict) == ["name"]
    assert not Project.objects.exists()


def test_two_projects_share_no_row(project: Project) -> None:
    other = ProjectFactory()
    assert Resource.objects.filter(project=other).count() == len(FIRST_CATALOGUE)
    mine, theirs = project.keys.get(), other.keys.get()
    assert mine.key_id != theirs.key_id
    assert list(Key.objects.of(project)) == [mine]


def test_an_address_of_a_person_is_one_however_it_is_written() -> None:
    User.objects.create_user(" Mara@Example.Test ")
    assert User.objects.get_by_natural_key("MARA@example.test").email == "mara@example.test"
    with pytest.raises(ValidationError) as caught:
        User.objects.create_user("MARA@EXAMPLE.TEST")
    assert "email" in caught.value.message_dict or "__all__" in caught.value.message_dict
    assert User.objects.count() == 1
