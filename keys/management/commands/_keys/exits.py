"""What `manage.py keys` ends with: numbers that scripts rely on, so none of them ever changes its meaning."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import CommandError
from django.db.utils import Error as DatabaseError

from keys.conflicts import Conflict
from keys.management.commands._keys import streams
from keys.verification import Outcome

DONE: Final = 0
REFUSED: Final = 1
MISUSED: Final = 2
CONFLICT: Final = 3
NOT_PERMITTED: Final = 4
NO_DATABASE: Final = 5
LOST: Final = 6
INTERRUPTED: Final = 130

# A further outcome gets the next free number, wherever in the order of the check it is found out.
VERDICTS: Final[dict[Outcome, int]] = {
    Outcome.VALID: DONE,
    Outcome.MALFORMED: 10,
    Outcome.UNKNOWN: 11,
    Outcome.REVOKED: 12,
    Outcome.EXPIRED: 13,
    Outcome.PAUSED: 14,
    Outcome.WRONG_ENVIRONMENT: 15,
    Outcome.SCOPE_MISSING: 16,
    Outcome.WRONG_CHANNEL: 17,
    Outcome.NETWORK_NOT_ALLOWED: 18,
    Outcome.RATE_LIMITED: 19,
}

MEANINGS: Final[dict[int, str]] = {
    DONE: "done; for check: the key is valid",
    REFUSED: "the input was refused, or there is no such project, channel or key",
    MISUSED: "the arguments can't be understood, or one of them looks like a token",
    CONFLICT: "too late or not twice: already revoked, in use, protected, or an idempotency key spent before",
    NOT_PERMITTED: "not permitted",
    NO_DATABASE: "the database can't be used: nothing was decided",
    LOST: "issued or renewed, but the token can't be written: nobody has it",
    **{code: f"check: {outcome.replace('-', ' ')}" for outcome, code in VERDICTS.items() if code},
    INTERRUPTED: "interrupted from the keyboard",
}


def table() -> str:
    """Return the exit codes with their meanings, a line each."""
    lines = [f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items()]
    return "\n".join(["Exit codes:", *lines])


@contextmanager
def translated() -> Iterator[None]:
    """Turn what a verb raises into a CommandError: a line that says why, and the number that goes with it."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(_lines(error), returncode=REFUSED) from None
    except Conflict as conflict:
        raise CommandError(said(conflict), returncode=CONFLICT) from None
    except PermissionDenied as error:
        raise CommandError(str(error), returncode=NOT_PERMITTED) from None
    except DatabaseError as error:
        reason = (str(error).splitlines() or ["no reason given"])[0]
        raise CommandError(f"The database can't be used: {reason}", returncode=NO_DATABASE) from None
    except BrokenPipeError:
        # Whoever reads has enough: `keys list … | head` is no failure to speak of.
        streams.drop_output()
        raise SystemExit(128 + signal.SIGPIPE) from None
    except OSError as error:
        streams.drop_output()
        raise CommandError(f"The output can't be written: {error.strerror}.", returncode=REFUSED) from None
    except KeyboardInterrupt:
        raise CommandError("Interrupted.", returncode=INTERRUPTED) from None


def said(conflict: Conflict) -> str:
    """Return what stood in a verb's way, and at which key."""
    return f"{conflict.key.name} ({conflict.key.key_id}): {conflict}"


def _lines(error: ValidationError) -> str:
    if not hasattr(error, "error_dict"):
        return "\n".join(error.messages)
    return "\n".join(f"{name}: {text}" for name, texts in error.message_dict.items() for text in texts)
