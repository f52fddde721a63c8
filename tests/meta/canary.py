"""What watches over secrets: every answer, every line that is logged, every report of an error."""

import logging
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from django.core.signals import got_request_exception
from django.test import Client
from django.views.debug import get_exception_reporter_class

from keys import tokens
from projects import invitations
from tests.web.pages import Page

LIST: Final = "/projects/acme/settings/keys/"
WHOAMI: Final = "/api/v1/whoami"


def parts(token: str) -> set[str]:
    """Return what of a key's token, or of an invitation's, nobody may see: all of it, and either half."""
    secret = token[20:58] if token.startswith("kr_") else token
    middle = len(secret) // 2
    return {token, secret, secret[:middle], secret[middle:]}


def parts_of_value(secret: str) -> set[str]:
    """Return what is looked for of a provider's key: all but the three characters on each side of it."""
    inner, half = secret[3:-3], len(secret) // 2
    return {secret, inner, secret[3:half], secret[half:-3]}


@dataclass
class Watch:
    """What was secret, every answer, and every line that was logged. `values` are keys of providers."""

    tokens: list[str] = field(default_factory=list)
    invitations: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    answers: list[tuple[str, Any]] = field(default_factory=list)
    records: list[logging.LogRecord] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)

    def found_in(self, text: str) -> set[str]:
        secret = [parts(text) for text in (*self.tokens, *self.invitations)]
        secret += [parts_of_value(each) for each in self.values]
        return {part for each in secret for part in each if part in text}

    def showing(self) -> list[str]:
        """Return the requests whose answer shows a secret in its body."""
        return [asked for asked, answer in self.answers if self.found_in(body(answer))]


def body(answer: Any) -> str:
    text: str = answer.content.decode()
    return text


class Watched(Client):
    """A client whose answers are all kept."""

    def __init__(self, watch: Watch, **options: Any) -> None:
        super().__init__(raise_request_exception=False, **options)
        self.watch = watch

    def request(self, **request: Any) -> Any:
        answer = super().request(**request)
        self.watch.answers.append((f"{request['REQUEST_METHOD']} {request['PATH_INFO']}", answer))
        return answer


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch everything that is logged, every secret that is made, and every exception as it is reported."""
    watch = Watch()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            watch.records.append(record)

    def report(request: Any, **_: Any) -> None:
        kind: Any = get_exception_reporter_class(request)
        reporter = kind(request, *sys.exc_info())
        watch.reports += [reporter.get_traceback_text(), reporter.get_traceback_html()]

    def generate(environment: str, key_id: str | None = None) -> tokens.Token:
        token = noticeable(environment, key_id)
        # Not its text: that asks for the checksum, where one of the tests breaks it.
        body = f"kr_{token.environment}_{token.key_id}{token.secret}"
        watch.tokens.append(body + tokens.checksum(body))
        return token

    def invite() -> str:
        watch.invitations.append(new_invitation())
        return watch.invitations[-1]

    keep = Keep()
    with pytest.MonkeyPatch.context() as patch:
        noticeable = _noticeable(tokens.generate)
        patch.setattr(tokens, "generate", generate)
        new_invitation = invitations._new_token
        patch.setattr(invitations, "_new_token", invite)
        logging.getLogger().addHandler(keep)
        got_request_exception.connect(report)
        yield watch
        got_request_exception.disconnect(report)
        logging.getLogger().removeHandler(keep)


def _noticeable(generate: Callable[..., tokens.Token]) -> Callable[..., tokens.Token]:
    """Make only such secrets as are noticed without their prefix: one in 800 has no digit."""

    def noticeable(*given: Any) -> tokens.Token:
        token = generate(*given)
        while not all(re.search(kind, token.secret) for kind in ("[0-9]", "[a-z]", "[A-Z]")):
            token = generate(*given)
        return token

    return noticeable


def fields(**typed: Any) -> dict[str, Any]:
    untouched = {"type": "restricted", "lifetime": "90", "until": "", "environment": "live", "note": ""}
    mine = {"nonce": uuid.uuid4().hex, "name": f"Key {uuid.uuid4()}", "scopes": ["sources:read"]}
    return untouched | mine | typed


def shown(answer: Any) -> str:
    return Page(answer).one("output", id="secret").text
