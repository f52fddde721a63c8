"""`manage.py passwordlink EMAIL`: the way back in for whoever forgot the password."""

from typing import Any

from allauth.account.forms import default_token_generator
from allauth.account.utils import user_pk_to_url_str
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.urls import reverse
from django.utils import timezone

from projects import audit
from projects.audit import Actor
from projects.models import SITE_LOG, User


class Command(BaseCommand):
    help = "Print a link that sets a new password: it works once, for a day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *_args: Any, email: str, **_options: Any) -> None:
        user = User.objects.at_address(email)
        if user is None:
            raise CommandError(f"No account has the address {email}.")
        if not user.is_active:
            raise CommandError(f"The account {email} is not active.")
        with audit.log(SITE_LOG, Actor.system(), timezone.now()) as log:
            log.record("person.password_link_made", "person", str(user.pk), user.label)
        self.stdout.write(password_link(user))


def password_link(user: User) -> str:
    """Return the address at which `user` sets a new password."""
    path = reverse(
        "account_reset_password_from_key",
        kwargs={
            "uidb36": user_pk_to_url_str(user),
            "key": default_token_generator.make_token(user),
        },
    )
    return f"{settings.KEYRACK_URL}{path}"
