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
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import QuerySet

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


# For whoever moves them to another sealing key. A row is locked while it is moved, as it is by who spends a
# code: what stands beside the sealed text is written with it.


def sealed_factors() -> QuerySet[Authenticator]:
    """Return the factors that have something sealed, with their people."""
    factors: QuerySet[Authenticator] = Authenticator.objects.select_related("user")
    return factors.filter(type__in=SEALED_MEMBERS)


def sealed_of(factor: Authenticator) -> bytes:
    """Return what is sealed of a factor; nothing, which opens nowhere, where it is none of ours."""
    try:
        return _bytes(factor.data.get(SEALED_MEMBERS[factor.type]))
    except SealingError:
        return b""


def put_sealed(factor: Authenticator, sealed: bytes) -> None:
    """Store another sealed text in the place of a factor's. The row must be locked."""
    factor.data[SEALED_MEMBERS[factor.type]] = base64.b64encode(sealed).decode()
    factor.save(update_fields=["data"])


def named(factor: Authenticator) -> str:
    """Return what to call a factor: whose it is, and of what kind."""
    kind = "recovery codes" if factor.type == Authenticator.Type.RECOVERY_CODES else "authenticator app"
    return f"{factor.user.email}: {kind}"


def _ring() -> Keyring:
    return Keyring(settings.KEYRACK_SEALING_KEYS)


def _said() -> Sequence[str]:
    place = _place.get()
    if not place:
        raise SealingError("Nobody said whose second factor this is.")
    return place


def _bytes(sealed: Any) -> bytes:
    try:
        return base64.b64decode(sealed, validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise SealingError("This is not a sealed value of a known format.") from None
