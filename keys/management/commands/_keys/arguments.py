"""What `manage.py keys` is asked with. A token goes no further than here, but to a verb that refuses it."""

import argparse
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any, Final, NoReturn

from django.core.management.base import CommandError, CommandParser

from config.redaction import holds_token
from keys.drafts import AGENT_END, Edit
from keys.forms import DEFAULT_LIFETIME, LIFETIMES
from keys.kinds import (
    AGENT_LIFETIME,
    AGENT_SCOPES,
    DEFAULT_GRACE,
    GRACES,
    NEVER_EXPIRES,
    Environment,
    KeyType,
)
from keys.management.commands._keys import exits
from keys.permissions import ISSUABLE
from keys.querysets import STATUSES
from keys.scopes import is_scope
from projects.querysets import PAGE_SIZE

VERBS: Final = ("list", "issue", "edit", "renew", "rotate", "pause", "resume", "revoke", "check")
REVOKED: Final = "revoked"
ANY: Final = "any"

_LIFETIMES: Final = {f"{days}d": span for days, (_, span) in LIFETIMES.items()}
_FROM: Final = "a network that the key may be used from, as 192.0.2.0/24; once for each"
_OFTEN: Final = "how often it may be used, as 100/minute (second, minute, hour, day)"
_LEAKED: Final = (
    "an argument looks like a key. It stands in the shell's history now, and others on this machine could"
    " see it: remove it there, and revoke the key unless you are alone here. `keys check` reads a key from"
    " standard input; everything else goes by the key id, the 12 characters after kr_live_ or kr_test_."
)


class Parser(CommandParser):
    """Says one line where arguments can't be understood, and never repeats a token in it."""

    _leaked = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        self._leaked = any(holds_token(argument) for argument in args or ())
        if not all(_is_text(argument) for argument in args or ()):
            self.error("an argument isn't UTF-8 text.")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        said = _LEAKED if self._leaked else message
        if self.called_from_command_line:
            self.exit(exits.MISUSED, f"{self.prog}: error: {said}\n")
        raise CommandError(f"Error: {said}", returncode=exits.MISUSED)


def add(parser: CommandParser) -> None:
    """Add the verbs with their arguments."""
    # Django makes the parser itself; those of the verbs come from its class.
    parser.__class__ = Parser
    verbs = parser.add_subparsers(dest="verb", required=True, metavar=" | ".join(VERBS))
    _list(_verb(verbs, "list", "list a project's keys, newest first"))
    _issue(_verb(verbs, "issue", "make a key; its token, shown this once, goes to standard output alone"))
    _edit(
        _verb(verbs, "edit", "change what a key is called, may do, its limits and its end; its token stays")
    )
    _renew(_verb(verbs, "renew", "give a key that nobody has used yet, or the Automator Key, a new secret"))
    _rotate(_verb(verbs, "rotate", "let a new key take a key's place; the old one works on for a while"))
    _one(_verb(verbs, "pause", "refuse a key until it is resumed"))
    _one(_verb(verbs, "resume", "let a paused key pass again"))
    _revoke(_verb(verbs, "revoke", "end keys at once and for good"))
    _check(_verb(verbs, "check", "say whether the key on standard input is good"))


def _verb(verbs: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}.",
        epilog=exits.table(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        # A script that abbreviates would break with the next option.
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    if name != "check":
        parser.add_argument(
            "project", type=_public, metavar="PROJECT", help="the project's slug, as in its address"
        )
    return parser


def _list(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--q", type=_public, default="", metavar="TEXT", help="a part of the name, a key id or a preview"
    )
    verb.add_argument("--type", choices=KeyType.values)
    verb.add_argument("--channel", type=_some, metavar="SLUG", help="only keys of this channel")
    verb.add_argument("--status", choices=[*STATUSES, REVOKED], help="default: all that aren't revoked")
    verb.add_argument("--environment", choices=Environment.values)
    how_many = verb.add_mutually_exclusive_group()
    how_many.add_argument("--limit", type=_count, default=PAGE_SIZE, metavar="N", help="default: %(default)s")
    how_many.add_argument("--all", action="store_true", help="however many there are")


def _issue(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("name", metavar="NAME", help="what the key is for")
    verb.add_argument("--type", choices=ISSUABLE, default=KeyType.RESTRICTED, help="default: %(default)s")
    verb.add_argument(
        "--scope", action="append", default=[], metavar="SCOPE",
        help="what a restricted or an agent key may do, such as sources:read; once for each scope."
        f" An agent key for which none is given may {_listed(AGENT_SCOPES)}",
    )  # fmt: skip
    verb.add_argument(
        "--channel",
        type=_some,
        metavar="SLUG",
        help="the channel that a channel key is good in",
    )
    verb.add_argument("--holder", default="", metavar="NAME", help="who holds a channel key")
    verb.add_argument("--environment", choices=Environment.values, default=Environment.LIVE)
    _end(
        verb, f"default: {DEFAULT_LIFETIME}d. An agent key ends {AGENT_LIFETIME.days} days after its creation"
    )
    verb.add_argument("--network", action="append", default=[], type=_some, metavar="CIDR", help=_FROM)
    verb.add_argument("--rate", type=_some, metavar="N/UNIT", help=_OFTEN)
    verb.add_argument("--note", default="", metavar="TEXT")
    verb.add_argument(
        "--idempotency-key", type=_some, metavar="KEY",
        help="a text of your own: a second time with the same one makes no second key",
    )  # fmt: skip


def _end(verb: argparse.ArgumentParser, otherwise: str) -> None:
    end = verb.add_mutually_exclusive_group()
    end.add_argument("--expires-in", choices=_LIFETIMES, help=otherwise)
    end.add_argument("--expires-on", type=_day, metavar="DATE", help="the last day (UTC), as 2027-02-18")
    end.add_argument("--never", action="store_true", help="never expires; not recommended")


def _edit(verb: argparse.ArgumentParser) -> None:
    _one(verb)
    verb.add_argument("--name", metavar="NAME")
    verb.add_argument("--note", metavar="TEXT")
    verb.add_argument(
        "--scope", action="append", metavar="SCOPE",
        help="of a restricted or an agent key: all that it may do from now on; once for each scope",
    )  # fmt: skip
    _end(verb, "counted from now; not of an agent key")
    where = verb.add_mutually_exclusive_group()
    where.add_argument("--network", action="append", type=_some, metavar="CIDR", help=_FROM)
    where.add_argument("--any-network", action="store_true", help="it may be used from anywhere")
    rate = verb.add_mutually_exclusive_group()
    rate.add_argument("--rate", type=_some, metavar="N/UNIT", help=_OFTEN)
    rate.add_argument("--no-rate", action="store_true", help="it may be used as often as it likes")
    verb.add_argument(
        "--version", type=_count, metavar="N",
        help="the version that you saw: where it is another by now, nothing is changed",
    )  # fmt: skip


def _renew(verb: argparse.ArgumentParser) -> None:
    which = verb.add_mutually_exclusive_group(required=True)
    which.add_argument(
        "key_id", nargs="?", type=_public, metavar="KEY_ID", help="a key that nobody has confirmed or used",
    )  # fmt: skip
    which.add_argument("--automator", action="store_true", help="the project's Automator Key")


def _rotate(verb: argparse.ArgumentParser) -> None:
    _one(verb)
    verb.add_argument(
        "--grace", choices=GRACES, default=DEFAULT_GRACE,
        help="how long the old key works on, never longer than its own end; default: %(default)s",
    )  # fmt: skip


def _one(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("key_id", type=_public, metavar="KEY_ID")


def _revoke(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("key_ids", nargs="+", type=_public, metavar="KEY_ID")
    verb.add_argument("--reason", default="", metavar="TEXT", help="why; shown with the revoked key")
    verb.add_argument("--yes", action="store_true", help="don't ask, though this is a terminal")


def _check(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--project", type=_public, metavar="SLUG", help="a key of another project is unknown")
    verb.add_argument(
        "--scope", action="append", default=[], type=_scope, metavar="SCOPE",
        help="what the key must be allowed, such as sources:read; once for each scope",
    )  # fmt: skip
    verb.add_argument(
        "--environment", choices=[*Environment.values, ANY], default=Environment.LIVE,
        help="default: %(default)s",
    )  # fmt: skip
    verb.add_argument(
        "--channel", type=_some, metavar="SLUG",
        help="where the key is presented; without it a channel key is in the wrong channel",
    )  # fmt: skip


def expiry(asked: Any, at: datetime) -> datetime | None:
    """Return when the key that is asked for ends; the verb says whether that is ahead.

    None for an agent key. Raises CommandError where one shall end otherwise.
    """
    if asked.type == KeyType.AGENT:
        _refuse_end(asked)
        return None
    return _asked_end(asked, at) or at + _LIFETIMES[f"{DEFAULT_LIFETIME}d"]


def changes(asked: Any, at: datetime) -> Edit:
    """Return what an edit shall change. Raises CommandError where that is nothing."""
    wanted = Edit(
        name=asked.name,
        note=asked.note,
        scopes=asked.scope,
        expires_at=_asked_end(asked, at),
        networks=() if asked.any_network else asked.network,
        rate="" if asked.no_rate else asked.rate,
    )
    if wanted == Edit():
        raise CommandError("Say what to change: keys edit --help.", returncode=exits.MISUSED)
    return wanted


def _asked_end(asked: Any, at: datetime) -> datetime | None:
    """Return the end that was asked for; None where none was."""
    if asked.never:
        return NEVER_EXPIRES
    if asked.expires_in:
        return at + _LIFETIMES[asked.expires_in]
    if asked.expires_on is None:
        return None
    # The end of today is ahead, its beginning isn't: “Choose a date after today.”
    ahead = asked.expires_on > at.astimezone(UTC).date()
    return datetime.combine(asked.expires_on, time.max if ahead else time.min, UTC)


def _refuse_end(asked: Any) -> None:
    if asked.never or asked.expires_on or asked.expires_in:
        said = f"{AGENT_END} Leave --expires-in, --expires-on and --never out."
        raise CommandError(said, returncode=exits.MISUSED)


def _listed(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}"


def _public(text: str) -> str:
    """Refuse a token; a name, note or reason that holds one is the verb's to refuse."""
    if holds_token(text):
        raise argparse.ArgumentTypeError(_LEAKED)
    return text


def _is_text(argument: str) -> bool:
    """Say whether the shell gave UTF-8: other bytes come as surrogates, which no database takes."""
    return not any("\ud800" <= char <= "\udfff" for char in argument)


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:18]) > 0):
        raise argparse.ArgumentTypeError("use a number from 1 on.")
    return int(text[:18])


def _day(text: str) -> date:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
    except ValueError:
        raise argparse.ArgumentTypeError("enter a date, such as 2027-02-18.") from None


def _some(text: str) -> str:
    # An unset variable of a script's, most likely: it would make a key each time, or mean every channel.
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty.")
    return _public(text)


def _scope(text: str) -> str:
    if not is_scope(text):
        raise argparse.ArgumentTypeError("a scope is resource:action, such as sources:read.")
    return text
