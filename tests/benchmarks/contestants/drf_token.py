"""Django REST framework's own TokenAuthentication, which keeps tokens as they are."""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.peers.users import make_users
from tests.benchmarks.peers.wsgi import application

__all__ = ["application", "checking", "seed"]


def seed(keys: int, chosen: int) -> Sequence[str]:
    from rest_framework.authtoken.models import Token

    rows = [Token(key=Token.generate_key(), user=user) for user in make_users(keys, "drf")]
    Token.objects.bulk_create(rows, batch_size=5000)
    return [str(row.key) for row in rows[:: keys // chosen][:chosen]]


def checking() -> Callable[[str], object]:
    from rest_framework.authentication import TokenAuthentication

    authentication: Any = TokenAuthentication()

    def check(token: str) -> None:
        request = SimpleNamespace(headers={"authorization": f"Token {token}"})
        if authentication.authenticate(request) is None:
            raise AssertionError

    return check
