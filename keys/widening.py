"""Whether a key may do more after an edit than before: that is said aloud."""

from collections.abc import Iterator

from keys import rates
from keys.models import Key
from keys.networks import lie_within
from projects.moments import Moment


def widening(before: Key, after: Key) -> str:
    """Return a sentence, with a blank before it, that says what more a key may do; "" where it is none."""
    more = "; ".join(_more(before, after))
    return f" More access than before: {more}." if more else ""


def _more(before: Key, after: Key) -> Iterator[str]:
    held = before.scopes.split()
    if added := [scope for scope in after.scopes.split() if scope not in held]:
        yield ", ".join(added)
    if after.expires_at > before.expires_at:
        yield "never expires" if after.never_expires else f"until {Moment.of(after.expires_at).day}"
    if not lie_within(after.networks, before.networks):
        yield f"from {after.networks.replace(' ', ', ')}" if after.networks else "from anywhere"
    if _per_second(after.rate) > _per_second(before.rate):
        yield f"up to {after.rate}" if after.rate else "without a rate limit"


def _per_second(text: str) -> float:
    rate = rates.parse(text)
    return rate.count / rate.seconds if rate else float("inf")
