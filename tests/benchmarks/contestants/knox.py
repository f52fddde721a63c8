"""django-rest-knox: tokens without end that aren't refreshed (it writes then), one of each user.

It looks at all tokens of the user at each check, so one of each is what suits it best.
"""

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from tests.benchmarks.peers.users import make_users
from tests.benchmarks.peers.wsgi import application

__all__ = ["application", "checking", "seed"]


def seed(keys: int, chosen: int) -> Sequence[str]:
    from knox.models import AuthToken, get_digest_token

    rows, made = [], []
    for user in make_users(keys, "knox"):
        digest, token = get_digest_token()
        rows.append(AuthToken(token_key=token[:15], digest=digest, user=user, expiry=None))
        made.append(str(token))
    AuthToken.objects.bulk_create(rows, batch_size=5000)
    return made[:: keys // chosen][:chosen]


def checking() -> Callable[[str], object]:
    from knox.auth import TokenAuthentication

    authentication: Any = TokenAuthentication()

    def check(token: str) -> None:
        request = SimpleNamespace(headers={"authorization": f"Token {token}"})
        if authentication.authenticate(request) is None:
            raise AssertionError

    return check
