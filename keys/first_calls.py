"""Whether a key that was just made has been used: the proof that whoever stored it did so rightly."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from keys.models import Key
from projects.moments import Moment

# A dialog that was forgotten on a screen doesn't ask for ever.
_ASKS_FOR: Final = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class FirstCall:
    """What is known of the first call since a secret was shown; `seen` is None until there is one."""

    since: Moment
    seen: Moment | None = None
    address: str = ""
    polls: bool = True

    @classmethod
    def of(cls, key: Key, since: datetime, at: datetime) -> "FirstCall":
        """Return what the counters say at `at`. No query: the key comes with its activity."""
        use = key.activity
        if use.last_used_at < since:
            return cls(Moment.of(since), polls=at - since < _ASKS_FOR)
        return cls(Moment.of(since), Moment.of(use.last_used_at), use.last_used_address, polls=False)
