"""djangorestframework-api-key: its permission alone, no authentication beside it."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.peers.wsgi import application

__all__ = ["application", "checking", "seed"]


def seed(keys: int, chosen: int) -> Sequence[str]:
    from rest_framework_api_key.models import APIKey

    rows, made = [], []
    for n in range(keys):
        row = APIKey(name=f"Key {n}")
        made.append(APIKey.objects.assign_key(row))
        rows.append(row)
    APIKey.objects.bulk_create(rows, batch_size=5000)
    return made[:: keys // chosen][:chosen]


def checking() -> Callable[[str], object]:
    from rest_framework_api_key.permissions import HasAPIKey

    permission: Any = HasAPIKey()

    def check(token: str) -> None:
        request = SimpleNamespace(META={"HTTP_AUTHORIZATION": f"Api-Key {token}"})
        if not permission.has_permission(request, None):
            raise AssertionError

    return check
