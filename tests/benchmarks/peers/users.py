"""Users for those peers whose tokens belong to one."""

from typing import Any


def make_users(count: int, prefix: str) -> list[Any]:
    """Return `count` new users without a password."""
    from django.contrib.auth.models import User

    users = [User(username=f"{prefix}-{n}", password="!") for n in range(count)]
    return User.objects.bulk_create(users, batch_size=5000)
