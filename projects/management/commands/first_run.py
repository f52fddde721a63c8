"""`manage.py first_run`: on an empty database, the first project and its owner."""

import os
import secrets
import sys
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from config.env import Env
from projects import lifecycle
from projects.models import User

# Without letters that look like others.
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"


@dataclass(frozen=True, slots=True)
class FirstRun:
    """What the environment says of the first owner and project; an empty password is invented."""

    email: str
    password: str
    project: str

    @classmethod
    def from_environment(cls) -> "FirstRun":
        env = Env(os.environ)
        return cls(
            env.text("KEYRACK_OWNER_EMAIL", "owner@keyrack.local"),
            env.text("KEYRACK_OWNER_PASSWORD"),
            env.text("KEYRACK_FIRST_PROJECT", "Demo"),
        )


class Command(BaseCommand):
    help = "On an empty database, make the first project and its owner. Else change nothing."

    def handle(self, *_args: Any, **_options: Any) -> None:
        wanted = FirstRun.from_environment()
        password = wanted.password or invented_password()
        with transaction.atomic():
            if User.objects.exists():
                return
            owner = make_owner(wanted, password)
            make_project(wanted, owner)
        self.tell(wanted, password)

    def tell(self, wanted: FirstRun, password: str) -> None:
        """Say how to sign in. An invented password is shown here, once, and kept nowhere."""
        shown = (
            "the one in KEYRACK_OWNER_PASSWORD"
            if wanted.password
            else f"{password}  (shown only now; you choose your own when you sign in)"
        )
        self.stdout.write(f"First start: made the project “{wanted.project}” and its owner.")
        self.stdout.write(f"  Sign in    {settings.KEYRACK_URL}/")
        self.stdout.write(f"  Email      {wanted.email.lower()}")
        self.stdout.write(f"  Password   {shown}")


def make_owner(wanted: FirstRun, password: str) -> User:
    """Return the first account: staff as well, since somebody has to make the others."""
    try:
        return User.objects.create_superuser(wanted.email, password, must_change_password=not wanted.password)
    except ValidationError as error:
        _refuse("KEYRACK_OWNER_EMAIL", error)


def make_project(wanted: FirstRun, owner: User) -> None:
    try:
        lifecycle.create_project(wanted.project, owner=owner, at=timezone.now())
    except ValidationError as error:
        _refuse("KEYRACK_FIRST_PROJECT", error)


def invented_password() -> str:
    """Return four groups of four characters: 79 random bits that can be typed from a screen."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(4))


def _refuse(name: str, error: ValidationError) -> NoReturn:
    sys.exit(f"Keyrack can't start. {name}: {' '.join(error.messages)}")
