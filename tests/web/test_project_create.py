"""Create project: its name and address, and the Automator Key that comes with it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.kinds import KeyType
from projects.models import AuditEvent, Membership, Project, Role, User
from tests.factories import ProjectFactory, UserFactory
from tests.web.pages import Page, Visitor, signed_in

pytestmark = pytest.mark.django_db

HERE = "/projects/new/"
TOKEN = "kr_live_7Fq2AAAAbbbb" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"
LOOKS_LIKE_A_KEY = "That looks like an API key. Keys don't belong here: nobody should be able to read it."
TAKEN = "This address is taken, or was: addresses are never reused."
LETTERS = "Use small letters, digits and hyphens."


@pytest.fixture
def ines() -> User:
    """Somebody without a project: everybody who has an account may make one."""
    user: User = UserFactory(name="Inês Prado")
    return user


@pytest.fixture
def client(ines: User) -> Client:
    return signed_in(ines)


def create(client: Client, headers: Mapping[str, str], **typed: str) -> Any:
    return client.post(HERE, {"name": "Acme Support", "slug": ""} | typed, headers=headers)


def test_the_form_is_a_page(client: Client, way: dict[str, str]) -> None:
    page = Page(client.get(HERE, headers=way))
    assert page.is_whole
    assert page.title == "Create project · Keyrack"
    assert page.heading == "Create project"
    for field, label in {"id_name": "Project name", "id_slug": "Address"}.items():
        assert page.one("label", for_=field).text == label
        assert page.one("input", id=field)
    assert not page.problems()


def test_it_leads_to_the_keys_of_the_new_project(client: Client, ines: User, way: dict[str, str]) -> None:
    response = create(client, way)
    assert (response.status_code, response["Location"]) == (303, "/projects/acme-support/settings/keys/")
    page = Page(client.get(response["Location"]))
    assert page.messages() == ["Acme Support was created, with its Automator Key."]
    assert page.title == "API keys · Acme Support · Keyrack"
    assert page.rows("Project API keys, newest first")[0]["Name"].text == "Automator Key System Everything"
    project = Project.objects.get(slug="acme-support")
    assert Membership.objects.get(project=project, user=ines).role == Role.OWNER
    assert project.keys.get().type == KeyType.SYSTEM
    first = AuditEvent.objects.get(project_id=project.pk, number=1)
    assert (first.verb, first.actor_label) == ("project.created", "Inês Prado")


def test_the_address_can_be_chosen(client: Client, way: dict[str, str]) -> None:
    assert create(client, way, slug="support-1")["Location"] == "/projects/support-1/settings/keys/"


def test_a_name_that_is_taken_gets_another_address(client: Client, way: dict[str, str]) -> None:
    ProjectFactory(name="Acme Support", slug="acme-support")
    assert create(client, way)["Location"] == "/projects/acme-support-2/settings/keys/"


REFUSED: dict[str, tuple[dict[str, str], str, str]] = {
    "no name": ({"name": ""}, "name", "Enter a name."),
    "blank name": ({"name": "  "}, "name", "Enter a name."),
    "long name": ({"name": "ten chars " * 10 + "x"}, "name", "Use 100 characters or fewer."),
    "unseen": (
        {"name": "a\u202eb"}, "name", "Use letters, digits, blanks and punctuation that can be seen.",
    ),
    "key as name": ({"name": TOKEN}, "name", LOOKS_LIKE_A_KEY),
    "secret as name": ({"name": TOKEN[20:58]}, "name", LOOKS_LIKE_A_KEY),
    "capitals": ({"slug": "Acme"}, "slug", LETTERS),
    "blank inside": ({"slug": "a b"}, "slug", LETTERS),
    "path": ({"slug": "../x"}, "slug", LETTERS),
    "hyphen first": ({"slug": "-x"}, "slug", LETTERS),
    "taken": ({"slug": "taken"}, "slug", TAKEN),
    "was taken": ({"slug": "gone"}, "slug", TAKEN),
    "reserved": ({"slug": "new"}, "slug", TAKEN),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses_with_words_of_its_own(
    client: Client, at: datetime, way: dict[str, str], case: str
) -> None:
    ProjectFactory(slug="taken")
    ProjectFactory(slug="gone", deleted_at=at)
    typed, field, words = REFUSED[case]
    response = create(client, way, **typed)
    assert response.status_code == 422
    page = Page(response)
    assert page.title == "Error: Create project · Keyrack"
    assert page.problems() == [words]
    assert page.error_of(field) == [words]
    assert page.one(id="errors").one("a").attrs["href"] == f"#id_{field}"
    assert Project.objects.count() == 2
    assert TOKEN[20:39] not in page.source + str(response.headers) + str(response.cookies)


def test_a_long_address_is_refused_beside_its_field(client: Client, way: dict[str, str]) -> None:
    page = Page(create(client, way, slug="a-" * 30))
    assert len(page.error_of("slug")) == 1
    assert page.problems() == page.error_of("slug")


def test_a_key_is_no_address(client: Client, way: dict[str, str]) -> None:
    response = create(client, way, slug=TOKEN)
    assert response.status_code == 422
    page = Page(response)
    assert page.error_of("slug")
    assert TOKEN[20:39] not in page.source
    assert not Project.objects.exists()


def test_a_refused_form_keeps_what_was_typed(client: Client, way: dict[str, str]) -> None:
    fields = Page(create(client, way, slug="A b")).form_of("Create project").fields()
    assert (fields["name"], fields["slug"]) == (["Acme Support"], ["A b"])


def test_an_empty_post_is_refused(client: Client, way: dict[str, str]) -> None:
    response = client.post(HERE, {}, headers=way)
    assert response.status_code == 422
    assert Page(response).problems() == ["Enter a name."]


def test_it_is_not_taken_from_another_site(ines: User, way: dict[str, str]) -> None:
    assert create(signed_in(ines, enforce_csrf_checks=True), way).status_code == 403
    assert not Project.objects.exists()


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_it_is_read_and_posted_only(client: Client, method: str) -> None:
    assert getattr(client, method)(HERE).status_code == 405


def test_without_javascript_it_goes_from_the_list_to_the_first_key(ines: User) -> None:
    visitor = Visitor(ines)
    visitor.visit("/projects/")
    visitor.visit(visitor.page.content.one("a", "Create project").attrs["href"])
    visitor.press("Create project", name="")
    visitor.press("Create project", name="Acme Support")
    visitor.follow("Create API key")
    assert visitor.press("Generate", name="First", type="viewer").heading == "Copy your key now"
