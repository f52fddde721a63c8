"""The site log's events about people: signed in, failed to, signed out, password changed."""

from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.account.signals import password_changed, password_reset
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from projects import audit
from projects.audit import Actor
from projects.models import SITE_LOG, Role, User
from projects.second_factor import named


@receiver(user_logged_in, dispatch_uid="keyrack_signed_in")
def record_sign_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    """Record a sign-in, with the second factor where one was asked for."""
    records = get_authentication_records(request, user)
    factors = [named(record["type"]) for record in records if record["method"] == "mfa"]
    _record("person.signed_in", user, request, **({"second_factor": factors[-1]} if factors else {}))


@receiver(user_logged_out, dispatch_uid="keyrack_signed_out")
def record_sign_out(*, request: HttpRequest, user: User | None, **_: Any) -> None:
    if user is not None:
        _record("person.signed_out", user, request)


@receiver(user_login_failed, dispatch_uid="keyrack_sign_in_failed")
def record_failure(*, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Record a failed sign-in, with the account where there is one.

    An address that belongs to no account isn't written down: people type passwords into that field.
    """
    email = str(credentials.get("email", "")).lower()
    _record("person.sign_in_failed", User.objects.filter(email=email).first(), request)


@receiver(password_changed, dispatch_uid="keyrack_password_changed")
def record_password_change(*, request: HttpRequest, user: User, **_: Any) -> None:
    _record("person.password_changed", user, request)


@receiver(password_reset, dispatch_uid="keyrack_password_reset")
def record_password_reset(*, request: HttpRequest, user: User, **_: Any) -> None:
    """Record it, and forget the failed attempts: whoever has just set a password may use it."""
    get_adapter(request)._delete_login_attempts_cached_email(request, email=user.email)
    _record("person.password_reset", user, request)


def _record(verb: str, user: User | None, request: HttpRequest | None, **changes: str) -> None:
    address = getattr(request, "client_address", None)
    actor = (
        Actor.person(user, Role.VIEWER, address)
        if user is not None
        else Actor("person", "", "", Role.VIEWER, address)
    )
    with audit.log(SITE_LOG, actor, timezone.now()) as log:
        log.record(verb, "person", actor.id, actor.label, **changes)
