"""Names for addresses: everybody has one, those too who had an account before there were any."""

import re
from collections.abc import Iterator

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.migrations.executor import MigrationExecutor

from projects.models import User
from projects.public_ids import new_public_id
from tests.factories import UserFactory

BEFORE = [("projects", "0002_channels_and_private_upstreams")]


def test_they_are_random_and_of_letters_and_digits() -> None:
    made = {new_public_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9A-Za-z]{12}", each) for each in made)


@pytest.mark.django_db
def test_no_two_people_have_the_same() -> None:
    one, other = UserFactory(), UserFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=one.pk).update(public_id=other.public_id)


@pytest.fixture
def rolled_back(transactional_db: None) -> Iterator[MigrationExecutor]:
    """The database as it was before people had public ids; afterwards as it is."""
    latest = MigrationExecutor(connection).loader.graph.leaf_nodes()
    executor = MigrationExecutor(connection)
    executor.migrate(BEFORE)
    yield executor
    MigrationExecutor(connection).migrate(latest)


@pytest.mark.django_db(transaction=True)
def test_the_migration_gives_one_to_each(rolled_back: MigrationExecutor) -> None:
    people = rolled_back.loader.project_state(BEFORE).apps.get_model("projects", "User")
    for number in range(3):
        people.objects.create(email=f"person{number}@example.test")
    executor = MigrationExecutor(connection)
    executor.migrate(executor.loader.graph.leaf_nodes())
    ids = list(User.objects.values_list("public_id", flat=True))
    assert len(set(ids)) == 3
    assert all(re.fullmatch("[0-9A-Za-z]{12}", each) for each in ids)
