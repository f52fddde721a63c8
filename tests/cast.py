"""The one cast of the tests: a project, its people, and somebody who is none of them.

A plugin of pytest: `tests/conftest.py` names it in `pytest_plugins`.
"""

from datetime import datetime

import pytest
from django.utils import timezone

from projects.models import Project, Role, User
from tests.factories import MembershipFactory, ProjectFactory, UserFactory


@pytest.fixture
def at() -> datetime:
    """The time at which the test happens: the clock is read once, as at the edge."""
    return timezone.now()


@pytest.fixture
def project(db: None) -> Project:
    return ProjectFactory(name="Acme", slug="acme")


def _member(project: Project, name: str, role: Role) -> User:
    email = f"{name.split()[0].lower()}@example.test"
    user = UserFactory(name=name, email=email)
    MembershipFactory(project=project, user=user, role=role)
    return user


@pytest.fixture
def owner(project: Project) -> User:
    return _member(project, "Mara Lindqvist", Role.OWNER)


@pytest.fixture
def admin(project: Project) -> User:
    return _member(project, "Ada Okafor", Role.ADMIN)


@pytest.fixture
def operator(project: Project) -> User:
    return _member(project, "Otis Brandt", Role.OPERATOR)


@pytest.fixture
def viewer(project: Project) -> User:
    return _member(project, "Vera Sato", Role.VIEWER)


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account who is a member of another project only."""
    return _member(ProjectFactory(name="Elsewhere", slug="elsewhere"), "Oleg Haas", Role.OWNER)
