"""Forward authorisation: what a gateway asks of Keyrack, and what it is answered (PRODUCT.md, section 7).

It fails closed. A gateway that is set up wrongly gets 400; what its client causes is 401, 403 or 429, since
nginx turns anything else into 500. Everything is read from a WSGI environment, so that Django's view and the
application in front of Django (`keys.gate`) are the same.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, quote

from config.addresses import NO_PROXIES, client_address
from config.redaction import holds_token
from keys import answers, problems
from keys.answers import Problem
from keys.kinds import UPSTREAM_LENGTH, Environment
from keys.providers import UnknownUpstream, UnusableUpstream, authorization_for
from keys.scopes import Grant
from keys.sealing import SealingError
from keys.sources import Source, source_of
from keys.upstream_addresses import PRESETS
from keys.verification import Facts, Outcome, Verdict, check
from projects.models import SLUG_LENGTH, Channel, Project

Environ = Mapping[str, Any]

log = logging.getLogger("keyrack.authorization")

# A gateway may capture the resource from the client's path. One that no project has is the client's doing and
# gets 403, so any length that a query can have is good here.
_PART: Final = re.compile(r"[a-z][a-z0-9-]*")
_SCOPE: Final = re.compile(r"[a-z][a-z0-9-]*:[a-z][a-z0-9-]*")
_SLUG: Final = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{SLUG_LENGTH - 1}}}")
# Whatever a client may send as a method (RFC 9110, section 5.6.2).
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_GRAMMARS: Final = {
    "project": _SLUG,
    "channel": _SLUG,
    "resource": _PART,
    "action": _PART,
    "scope": _SCOPE,
    "method": _METHOD,
    "upstream": re.compile(rf"[a-z0-9][a-z0-9.-]{{0,{UPSTREAM_LENGTH - 1}}}"),
    "environment": re.compile("|".join(Environment.values)),
    "throttle": re.compile("403"),
}
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
# What tells the method of the request that the gateway is asked for, besides `method=`.
_METHODS: Final = ("HTTP_X_ORIGINAL_METHOD", "HTTP_X_FORWARDED_METHOD")
# With one of these a server behind may act on another method than the one that was authorised.
_OVERRIDES: Final = ("HTTP_X_HTTP_METHOD_OVERRIDE", "HTTP_X_HTTP_METHOD", "HTTP_X_METHOD_OVERRIDE")
# What a key needs that an upstream is asked with, and what the gateway's own does.
_USES_PROVIDERS: Final = "providers:use"
_IS_GATEWAY: Final = "gateway:use"
_MOST_FIELDS: Final = 60
_QUERY_LENGTH: Final = 4096


@dataclass(frozen=True, slots=True)
class Asked:
    """What the gateway's query asks: of which project, for what."""

    project: str
    resource: str = ""
    action: str = ""
    method: str = ""
    scopes: tuple[str, ...] = ()
    channel: str = ""
    environment: str = Environment.LIVE
    upstream: str = ""
    forbids_throttled: bool = False


class Reply(NamedTuple):
    """An answer without a framework: status, headers and body. A header may hold a provider's key."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Reply(status={self.status})"


class Refused(Exception):
    """The request ends here, with this problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def authorize(environ: Environ, address: str | None, at: datetime) -> Reply:
    """Return what the gateway is answered. `address` is the client's, through trusted proxies.

    One query for a key that may pass, three with an upstream. Raises database errors and
    ThrottleUnavailable: nothing was decided.
    """
    try:
        asked = _asked(environ)
        scopes = _scopes(asked, environ)
        facts = _passed(_verdict(environ, asked, scopes, address, at), asked)
        headers = _identity(facts)
        if asked.upstream:
            _prove_gateway(environ, asked, facts, at)
            headers += _injected(asked, facts)
    except Refused as refused:
        return reply_of(refused.problem)
    return Reply(200, [*headers, ("Cache-Control", "no-store")])


def reply_of(problem: Problem) -> Reply:
    status, headers, body = problem.wire()
    return Reply(status, list(headers.items()), body)


# What the gateway asks


def _asked(environ: Environ) -> Asked:
    """Return what the query asks. Raises Refused (400) where it can't be understood, or names no project."""
    text = environ.get("QUERY_STRING", "")
    if len(text) > _QUERY_LENGTH:
        raise Refused(answers.invalid_parameters([("", "The query is too long.")]))
    return _parsed(text)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Asked:
    """Read a query. A gateway sends the same few all the time; one that is refused isn't remembered."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError:
        raise Refused(answers.invalid_parameters([("", "The query can't be read.")])) from None
    if any(holds_token(part) for pair in pairs for part in pair):
        raise Refused(answers.TOKEN_IN_QUERY)
    given: dict[str, list[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    if wrong := _wrong(given):
        raise Refused(answers.invalid_parameters(wrong))
    one = {name: values[0] for name, values in given.items() if name not in ("scope", "throttle")}
    scopes = tuple(given.get("scope", ()))
    return Asked(**one, scopes=scopes, forbids_throttled="throttle" in given)


def _wrong(given: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Return each parameter that is wrong, with what is wrong."""
    wrong = []
    for name, values in given.items():
        grammar = _GRAMMARS.get(name)
        if grammar is None:
            wrong.append((name[:60], "There is no such parameter."))
        elif len(values) > 1 and name != "scope":
            wrong.append((name, "Give it once."))
        elif any(not value for value in values):
            wrong.append((name, "It is blank."))
        elif any(grammar.fullmatch(value) is None for value in values):
            wrong.append((name, "It isn't of the form that it must have."))
    if "project" not in given:
        wrong.append(("project", "It is missing."))
    if "action" in given and "resource" not in given:
        wrong.append(("action", "It needs a resource beside it."))
    return wrong


def _scopes(asked: Asked, environ: Environ) -> tuple[str, ...]:
    """Return every scope that the client's key must have. Raises Refused."""
    scopes = asked.scopes
    if asked.resource:
        action = asked.action or _action(asked, environ)
        scopes = (f"{asked.resource}:{action}", *scopes)
    return (*scopes, _USES_PROVIDERS) if asked.upstream else scopes


def _action(asked: Asked, environ: Environ) -> str:
    """Return the action that the method stands for. Raises Refused: 400 for none, 403 for two that differ."""
    told = {environ[name] for name in _METHODS if environ.get(name)}
    if asked.method:
        told.add(asked.method)
    if not told:
        missing = "Say the method: by method=, X-Original-Method or X-Forwarded-Method."
        raise Refused(answers.invalid_parameters([("method", missing)]))
    if len(told) > 1 or any(environ.get(name) for name in _OVERRIDES):
        raise Refused(answers.ambiguous("The request names two methods."))
    # An upgraded connection is written to and read from whatever its first method was.
    if environ.get("HTTP_UPGRADE"):
        raise Refused(answers.ambiguous("A protocol upgrade needs an action of its own."))
    method = told.pop()
    if method in _SAFE:
        return "read"
    return "delete" if method == "DELETE" else "write"


# What the client presents


def _verdict(
    environ: Environ, asked: Asked, scopes: tuple[str, ...], address: str | None, at: datetime
) -> Verdict:
    """Return the verdict on the client's key, there for the gateway's project and channel. Raises Refused."""
    presented = _presented(environ)
    if presented is None:
        _refuse_unknown(asked)
        raise Refused(answers.NO_CREDENTIALS)
    verdict = check(
        presented,
        at=at,
        project=asked.project,
        scopes=scopes,
        environment=asked.environment,
        channel=asked.channel,
        source=source_of(environ, address),
    )
    facts = verdict.facts
    elsewhere = facts is None or facts.channel != asked.channel
    if not verdict.is_valid:
        _refuse_unknown(asked if elsewhere else replace(asked, channel=""))
    elif facts and asked.channel and elsewhere:
        _refuse_closed_channel(asked, facts)
    return verdict


def _presented(environ: Environ) -> str | None:
    """Return the token that the client presents, None for none (RFC 6750, section 2.1; or X-API-Key).

    Raises Refused (403) for two that differ: a server behind might take the other one.
    """
    scheme, _, bearer = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
    token = bearer.strip() if scheme.lower() == "bearer" else ""
    other = environ.get("HTTP_X_API_KEY", "").strip()
    if token and other and token != other:
        raise Refused(answers.ambiguous("The request presents two different keys."))
    return token or other or None


def _refuse_unknown(asked: Asked) -> None:
    """Raise Refused (400) where the gateway asks for a project, channel or upstream that isn't.

    For what is refused anyhow, so one that was there once is known: a flood of refusals asks no database.
    """
    place = asked.project, asked.channel, asked.upstream
    if place in _known_places:
        return
    project = Project.objects.existing().filter(slug=asked.project).first()
    if project is None:
        raise Refused(answers.invalid_parameters([("project", "There is no such project.")]))
    if asked.channel and not project.channels.filter(slug=asked.channel, closed_at=None).exists():
        raise Refused(_NO_CHANNEL)
    if asked.upstream and not project.upstreams.filter(slug=asked.upstream).exists():
        raise Refused(_NO_UPSTREAM)
    if len(_known_places) >= _MOST_PLACES:
        _known_places.clear()
    _known_places.add(place)


_known_places: Final[set[tuple[str, str, str]]] = set()
_MOST_PLACES: Final = 10_000
_NO_CHANNEL: Final = answers.invalid_parameters([("channel", "There is no such channel.")])
_NO_UPSTREAM: Final = answers.invalid_parameters([("upstream", "There is no such upstream.")])


def _refuse_closed_channel(asked: Asked, facts: Facts) -> None:
    """Raise Refused (400) where the project has no open channel of this slug. One query."""
    if not Channel.objects.filter(project_id=facts.project_id, slug=asked.channel, closed_at=None).exists():
        raise Refused(_NO_CHANNEL)


def _passed(verdict: Verdict, asked: Asked) -> Facts:
    """Return whose key passed. Raises Refused for every other verdict."""
    if not verdict.is_valid or verdict.facts is None:
        raise Refused(_refusal(verdict, asked))
    return verdict.facts


# What the gateway presents, and what it is given for an upstream


def _prove_gateway(environ: Environ, asked: Asked, client: Facts, at: datetime) -> None:
    """Raise Refused (403) unless the gateway presents a good key of its own, other than the client's.

    Else an agent that asks Keyrack itself would be given the provider's key.
    """
    presented = environ.get("HTTP_X_KEYRACK_GATEWAY", "").strip()
    if not presented:
        raise Refused(answers.gateway_needed())
    verdict = check(
        presented,
        at=at,
        project=asked.project,
        scopes=(_IS_GATEWAY,),
        environment=asked.environment,
        source=Source(client_address(environ, NO_PROXIES)),
    )
    if verdict.outcome is Outcome.RATE_LIMITED:
        raise Refused(_refusal(verdict, asked))
    if not verdict.is_valid or verdict.facts is None:
        raise Refused(answers.gateway_needed(answers.problem_of(verdict).detail))
    if verdict.facts.pk == client.pk:
        raise Refused(answers.gateway_needed("It is the client's own key."))


def _injected(asked: Asked, client: Facts) -> list[tuple[str, str]]:
    """Return where the upstream is, and the header of each provider: all but one of them empty.

    Raises Refused (400): what is wrong is how the project is set up. The log names the row.
    """
    project = Project(pk=client.project_id, slug=client.project)
    try:
        given = authorization_for(project, asked.upstream)
    except UnknownUpstream:
        raise Refused(_NO_UPSTREAM) from None
    except (UnusableUpstream, SealingError) as error:
        log.error("The upstream %s of %s can't be used. %s", asked.upstream, asked.project, error)
        raise Refused(answers.UPSTREAM_UNUSABLE) from None
    values = {preset.header.lower(): "" for preset in PRESETS.values()} | {given.header.lower(): given.value}
    headers = {f"{_UPSTREAM}{name.title()}": value for name, value in values.items()}
    # Last, so that no provider key whose header is called “Url” has another say in it.
    return [*(headers | {f"{_UPSTREAM}Url": given.base_url}).items()]


_UPSTREAM: Final = "X-Keyrack-Upstream-"


# What the gateway is answered


def _refusal(verdict: Verdict, asked: Asked) -> Problem:
    problem = answers.problem_of(verdict)
    if problem.type is problems.RATE_LIMITED and asked.forbids_throttled:
        # nginx makes a 500 of 429, so it may ask for this instead.
        headers = {**problem.headers, "X-Keyrack-Denied": "rate-limited"}
        return Problem(problems.DENIED, problem.detail, headers)
    return problem


def _identity(facts: Facts) -> list[tuple[str, str]]:
    """Return who the key is, as headers: all of them always, or a client's own would reach what is behind."""
    return [
        ("X-Keyrack-Key-Id", facts.key_id),
        ("X-Keyrack-Key-Name", _encoded(facts.name)),
        ("X-Keyrack-Type", facts.type),
        ("X-Keyrack-Project", facts.project),
        ("X-Keyrack-Environment", facts.environment),
        ("X-Keyrack-Scopes", _listed(facts)),
        ("X-Keyrack-Channel", facts.channel or ""),
    ]


_encoded: Final = lru_cache(maxsize=1024)(quote)


def _listed(facts: Facts) -> str:
    """Return the scopes that the key has. A query for one whose type reads the catalogue."""
    stored = _scopes_stored(facts.type, facts.scopes)
    if stored is None:
        return " ".join(facts.grant.listed(Project(pk=facts.project_id).scopes()))
    return stored


@lru_cache(maxsize=1024)
def _scopes_stored(key_type: str, scopes: str) -> str | None:
    """Return the scopes where no catalogue is needed to tell them, else None."""
    grant = Grant.of(key_type, scopes)
    return None if grant.reads else " ".join(grant.listed(()))
