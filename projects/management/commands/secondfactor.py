"""`manage.py secondfactor EMAIL [--remove]`: the way back in for whoever lost the phone and the codes."""

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from projects import people
from projects.audit import Actor
from projects.models import User
from projects.moments import Moment
from projects.second_factor import second_factor_of


class Command(BaseCommand):
    help = "Say whether an account has a second factor; with --remove, take it away."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--remove", action="store_true", help="take it away: the password alone signs in")

    def handle(self, *_args: Any, email: str, remove: bool, **_options: Any) -> None:
        person = User.objects.at_address(email)
        if person is None:
            raise CommandError(f"No account has the address {email}.")
        if not remove:
            self.stdout.write(_told(person))
            return
        try:
            people.remove_second_factor(person, actor=Actor.system(), at=timezone.now())
        except ValidationError as error:
            raise CommandError(error.messages[0]) from None
        self.stdout.write(f"{person.email} has no second factor any more: the password alone signs in.")


def _told(person: User) -> str:
    factor = second_factor_of(person)
    if factor is None:
        return f"{person.email} has no second factor."
    left = f"{factor.codes_left} of {factor.codes} recovery codes left"
    return f"{person.email} has a second factor since {Moment.of(factor.since).text}, with {left}."
