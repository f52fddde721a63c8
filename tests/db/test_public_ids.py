"""Names of people for addresses. Those who were there before them get theirs in test_upgrades.py."""

import re

import pytest
from django.db import IntegrityError, transaction

from projects.models import User
from projects.public_ids import new_public_id
from tests.factories import UserFactory


def test_they_are_random_and_of_letters_and_digits() -> None:
    made = {new_public_id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch("[0-9A-Za-z]{12}", each) for each in made)


@pytest.mark.django_db
def test_no_two_people_have_the_same() -> None:
    one, other = UserFactory(), UserFactory()
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=one.pk).update(public_id=other.public_id)
