"""Keyrack as it is in production."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any


def seed(keys: int, chosen: int) -> Sequence[str]:
    from django.db import transaction

    from keys import tokens
    from keys.models import Key, KeyActivity
    from projects.models import Project

    every = keys // chosen
    samples = []
    with transaction.atomic():
        project = Project(name="Bench", slug="bench")
        project.save()
        for start in range(0, keys, 5000):
            made = [tokens.generate("live") for _ in range(min(5000, keys - start))]
            # In one go: the verb, which writes an audit event for each, would take minutes.
            rows = Key.objects.bulk_create(
                Key(
                    project=project, key_id=token.key_id, type="restricted", scopes="chat:send sources:read",
                    name=f"Key {start + n}", name_folded=f"key {start + n}",
                    secret_hash=tokens.hash_secret(token.secret), last4=token.last4, created_by_label="bench",
                )
                for n, token in enumerate(made)
            )  # fmt: skip
            KeyActivity.objects.bulk_create(KeyActivity(key=row, project=project) for row in rows)
            samples += [token.text for n, token in enumerate(made) if (start + n) % every == 0]
    return samples[:chosen]


def application() -> Any:
    from config.wsgi import application

    return application


def checking() -> Callable[[str], object]:
    from keys.verification import check

    def checked(token: str) -> None:
        verdict = check(token, at=datetime.now(UTC), project="bench", scopes=("sources:read",))
        if not verdict.is_valid:
            raise AssertionError(verdict.outcome)

    return checked
