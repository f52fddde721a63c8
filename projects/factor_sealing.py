"""How a second factor is sealed: bound to its person, and to what kind of factor it is.

django-allauth seals and opens through two hooks of its adapter, which are given the text and nothing else. So
whoever calls it says first whose factor it is (`sealing`); without that nothing is sealed, and nothing opens.

A sealed text put into another person's row, or a seed of recovery codes put in the place of an app's secret,
doesn't open. What stands beside it in the row is not bound to it: which codes were used, and when. Nor does
sealing keep anybody from deleting the row, or from putting an older one back, who can write to the database.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction

from config.sealing import Keyring, SealingError

# The member of a factor's data that is sealed, by the kind of factor.
SEALED_MEMBERS: Final = {
    Authenticator.Type.TOTP.value: "secret",
    Authenticator.Type.RECOVERY_CODES.value: "seed",
}

_place: Final[ContextVar[Sequence[str]]] = ContextVar("place of a second factor", default=())


def place_of(person_pk: int, kind: str) -> Sequence[str]:
    """Return where a sealed factor belongs; it opens nowhere else."""
    return ("mfa_authenticator", kind, str(person_pk))


@contextmanager
def sealing(person_pk: int, kind: str) -> Iterator[None]:
    """Say whose factor django-allauth seals or opens inside, and of what kind it is."""
    mark = _place.set(place_of(person_pk, kind))
    try:
        yield
    finally:
        _place.reset(mark)


def seal(secret: str) -> str:
    """Return the text sealed for the place that was said, in base 64. Raises SealingError without one."""
    return base64.b64encode(_ring().seal(secret, _said())).decode()


def unseal(sealed: str) -> str:
    """Return what was sealed for the place that was said. Raises SealingError."""
    return _ring().open(_bytes(sealed), _said())


@dataclass(slots=True)
class Resealed:
    """How many factors a run has moved, how many it left, and why others don't open."""

    moved: int = 0
    kept: int = 0
    unopened: list[str] = field(default_factory=list)


def reseal() -> Resealed:
    """Seal every second factor with the newest sealing key, each in a transaction of its own.

    One that doesn't open stays as it is. Locks the row that it moves.
    """
    ring, done = _ring(), Resealed()
    for pk in (
        Authenticator.objects.filter(type__in=SEALED_MEMBERS).order_by("pk").values_list("pk", flat=True)
    ):
        with transaction.atomic():
            factor = Authenticator.objects.select_for_update(of=("self",)).filter(pk=pk).first()
            if factor is None:
                continue  # removed meanwhile
            try:
                moved = _move(ring, factor)
            except SealingError as error:
                done.unopened.append(f"{factor.type} of {factor.user.label}: {error}")
                continue
        done.moved += moved
        done.kept += not moved
    return done


def _move(ring: Keyring, factor: Authenticator) -> bool:
    """Seal a factor anew, unless the newest key sealed it. Raises SealingError where it doesn't open."""
    member = SEALED_MEMBERS[factor.type]
    sealed, place = _bytes(factor.data[member]), place_of(factor.user_id, factor.type)
    secret = ring.open(sealed, place)
    if ring.is_newest(sealed):
        return False
    factor.data[member] = base64.b64encode(ring.seal(secret, place)).decode()
    factor.save(update_fields=["data"])
    return True


def _ring() -> Keyring:
    return Keyring(settings.KEYRACK_SEALING_KEYS)


def _said() -> Sequence[str]:
    place = _place.get()
    if not place:
        raise SealingError("Nobody said whose second factor this is.")
    return place


def _bytes(sealed: str) -> bytes:
    try:
        return base64.b64decode(sealed, validate=True)
    except (binascii.Error, ValueError):
        raise SealingError("This is not a sealed value of a known format.") from None
