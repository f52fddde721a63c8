"""Who a session belongs to: django-allauth's way of signing in, and one query that is built once."""

from typing import Any, Final

from allauth.account.auth_backends import AuthenticationBackend
from django.contrib.auth.models import AbstractBaseUser

from projects.models import User
from projects.statements import Select

_PERSON: Final = Select(lambda pk: User.objects.filter(pk=pk))


class Backend(AuthenticationBackend):  # type: ignore[misc]
    """Signs people in by e-mail address and password, and finds whom a session belongs to."""

    def get_user(self, user_id: Any) -> AbstractBaseUser | None:
        """Return the person of this number; None where there is none, or who isn't active. One query."""
        user = _PERSON.first(user_id)
        return user if user is not None and self.user_can_authenticate(user) else None
