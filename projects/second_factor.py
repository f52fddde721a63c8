"""A person's second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for its loss.

The rows and the arithmetic are django-allauth's; the verbs are here, each with its event in the site log,
whose head it locks first. A code works once: the step of time that it belongs to is kept, and no code of that
step, or of one before it, is taken again (RFC 6238, section 5.2), in whichever process.
"""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.core.internal.cryptokit import compare_user_code, normalize_user_code
from allauth.mfa import app_settings
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef

from projects import audit
from projects.audit import Actor
from projects.factor_sealing import sealing
from projects.models import SITE_LOG, Project, User

APP: Final = Authenticator.Type.TOTP.value
CODES: Final = Authenticator.Type.RECOVERY_CODES.value

# What a code is called in the log.
_NAMES: Final = {APP: "authenticator app", CODES: "recovery code"}

WRONG_CODE: Final = "That code isn't right, or was used before."


class AlreadyOn(Exception):
    """The person has a second factor already."""


class NoSecondFactor(Exception):
    """The person has no second factor."""


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """What the pages say of a second factor; nothing of it is secret."""

    since: datetime
    last_used: datetime | None
    codes_left: int
    codes: int
    # Whether somebody has said that the recovery codes are stored.
    saved: bool


def has_second_factor(user: User) -> bool:
    """Say whether signing in takes a code. One query."""
    return bool(Authenticator.objects.filter(user_id=user.pk, type=APP).exists())


def second_factor_of(user: User) -> SecondFactor | None:
    """Return what is known of the person's second factor, or None. One query."""
    found = {row.type: row for row in Authenticator.objects.filter(user_id=user.pk)}
    app, codes = found.get(APP), found.get(CODES)
    if app is None:
        return None
    used = [row.last_used_at for row in (app, codes) if row is not None and row.last_used_at]
    return SecondFactor(
        since=app.created_at,
        last_used=max(used, default=None),
        codes_left=_left(codes) if codes else 0,
        codes=app_settings.RECOVERY_CODE_COUNT,
        saved=codes is not None and RecoveryCodes(codes).did_view,
    )


def members_without(project: Project) -> int:
    """Return how many members of the project would be led to set one up. One query."""
    factors = Authenticator.objects.filter(user=OuterRef("user"), type=APP)
    return project.memberships.filter(~Exists(factors), user__is_active=True).count()


def new_secret() -> str:
    """Return a secret for an authenticator app: 160 random bits in base 32."""
    return str(generate_totp_secret())


def setup_address(user: User, secret: str) -> str:
    """Return the `otpauth:` address that an authenticator app reads from a QR code."""
    return str(get_adapter().build_totp_url(user, secret))


# The verbs


def turn_on(user: User, secret: str, code: str, *, actor: Actor, at: datetime) -> list[str]:
    """Give the person a second factor, and return its recovery codes: they are shown once.

    Raises ValidationError for a code that isn't the secret's, AlreadyOn.
    """
    step = _step_of(secret, code, at)
    if step is None:
        raise ValidationError({"code": "That code isn't right. Enter the one that the app shows now."})
    with audit.log(SITE_LOG, actor, at) as log:
        if has_second_factor(user):
            raise AlreadyOn
        with sealing(user.pk, APP):
            app = TOTP.activate(user, secret).instance
        # The code that turned it on doesn't sign in as well.
        app.data["step"] = step
        app.save(update_fields=["data"])
        log.record("person.second_factor_added", "person", str(user.pk), user.label)
        return _new_codes(user)


def turn_off(user: User, *, actor: Actor, at: datetime) -> None:
    """Take the person's second factor away, recovery codes and all. Raises NoSecondFactor."""
    with audit.log(SITE_LOG, actor, at) as log:
        if not has_second_factor(user):
            raise NoSecondFactor
        Authenticator.objects.filter(user_id=user.pk).delete()
        log.record("person.second_factor_removed", "person", str(user.pk), user.label)


def make_codes(user: User, *, actor: Actor, at: datetime) -> list[str]:
    """Make new recovery codes, and return them: they are shown once. The old ones stop working.

    Raises NoSecondFactor.
    """
    with audit.log(SITE_LOG, actor, at) as log:
        if not has_second_factor(user):
            raise NoSecondFactor
        Authenticator.objects.filter(user_id=user.pk, type=CODES).delete()
        log.record("person.recovery_codes_made", "person", str(user.pk), user.label)
        return _new_codes(user)


def accept(user: User, code: str, *, actor: Actor, at: datetime) -> Authenticator | None:
    """Return the factor that a code belongs to; the code is spent by that. None for any other code.

    A spent recovery code and a wrong code each leave an event. Raises SealingError where the factor can't be
    read. Locks the head of the site log, then the person's factors.
    """
    with audit.log(SITE_LOG, actor, at) as log:
        for factor in _locked(user):
            with sealing(user.pk, factor.type):
                fits = _spend_step(factor, code, at) if factor.type == APP else _spend_code(factor, code)
            if fits:
                if factor.type == CODES:
                    left = _left(Authenticator.objects.get(pk=factor.pk))
                    log.record("person.recovery_code_used", "person", str(user.pk), user.label, left=left)
                return factor
        log.record("person.sign_in_failed", "person", str(user.pk), user.label, factor="code")
    return None


def named(kind: str) -> str:
    """Return what a kind of factor is called in the log."""
    return _NAMES[kind]


# Recovery codes on paper


def are_current(user: User, codes: Sequence[str]) -> bool:
    """Say whether these are the person's recovery codes, all of them and unused. Two queries at most."""
    row = Authenticator.objects.filter(user_id=user.pk, type=CODES).first()
    if row is None:
        return False
    with sealing(user.pk, CODES):
        secret = " ".join(RecoveryCodes(row).get_unused_codes())
    given_codes = " ".join(normalize_user_code(code) for code in codes)
    return hmac.compare_digest(given_codes.encode(), secret.encode())


def mark_saved(user: User) -> bool:
    """Note that the person has stored the recovery codes that were shown. False where there are none."""
    with transaction.atomic():
        # Locked: the row also says which codes were used, and a late write must not bring one back.
        row = Authenticator.objects.select_for_update().filter(user_id=user.pk, type=CODES).first()
        if row is not None:
            RecoveryCodes(row).mark_as_viewed()
    return row is not None


def _new_codes(user: User) -> list[str]:
    with sealing(user.pk, CODES):
        codes = RecoveryCodes.activate(user).generate_codes()
    return [f"{code[:4]}-{code[4:]}" for code in codes]


def _left(codes: Authenticator) -> int:
    used: int = codes.data["used_mask"]
    return int(app_settings.RECOVERY_CODE_COUNT) - used.bit_count()


# Codes


def _locked(user: User) -> list[Any]:
    """Return the person's factors, the app's first, locked; none of somebody who was shut out meanwhile."""
    rows = Authenticator.objects.select_for_update(of=("self",)).filter(user_id=user.pk, user__is_active=True)
    return sorted(rows.order_by("pk"), key=lambda row: row.type != APP)


def _spend_step(app: Authenticator, code: str, at: datetime) -> bool:
    secret = get_adapter().decrypt(app.data["secret"])
    step = _step_of(secret, code, at, after=app.data["step"])
    if step is None:
        return False
    app.data["step"] = step
    app.save(update_fields=["data"])
    return True


def _spend_code(codes: Authenticator, code: str) -> bool:
    return bool(RecoveryCodes(codes).validate_code(code))


def _step_of(secret: str, code: str, at: datetime, *, after: int = -1) -> int | None:
    """Return the step of time that a code belongs to: the current one, or one beside it for a clock that
    differs; never one up to `after`.
    """
    now = int(at.timestamp()) // app_settings.TOTP_PERIOD
    tolerance = app_settings.TOTP_TOLERANCE
    for step in range(now - tolerance, now + tolerance + 1):
        expected = format_hotp_value(hotp_value(secret, step))
        if step > after and compare_user_code(actual=code, expected=expected):
            return step
    return None
