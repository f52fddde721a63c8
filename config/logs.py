"""Logs: one JSON object a line on standard error, with the id of the request, and never a token."""

import json
import logging
import re
import threading
import time
from collections import deque
from contextvars import ContextVar
from datetime import UTC, datetime
from functools import lru_cache
from multiprocessing.util import Finalize
from typing import Any, Final, NamedTuple

from django.http import QueryDict
from pythonjsonlogger.json import JsonFormatter

from config.redaction import blot, redact, redact_tokens, sent_secrets

# The id of the request that this thread is answering; empty outside of one.
request_id: Final[ContextVar[str]] = ContextVar("request_id", default="")

access_log = logging.getLogger("keyrack.access")

_STANDARD: Final = (*logging.makeLogRecord({}).__dict__, "message", "asctime", "color_message")

# A password link is as good as a password until it is used, and it stands in the path.
_PASSWORD_LINK: Final = re.compile(r"(/password/reset/key/[0-9A-Za-z]+-)(?!set-password/)[\w-]+")
# So is an invitation; half of one as well, which isn't long enough to be taken for a secret by itself. What
# has only 12 characters is an invitation's public id.
_INVITATION_LINK: Final = re.compile(r"(/invitations/)[0-9A-Za-z]{13,}")
# The shortest text that any of these is found in is a provider's key: `sk-` and 16 characters.
_NOTHING_BELOW: Final = 19


def clean(text: str) -> str:
    """Return `text` without tokens and without the secret part of password links and invitations."""
    if len(text) < _NOTHING_BELOW:
        return text
    for link in (_PASSWORD_LINK, _INVITATION_LINK):
        text = link.sub(r"\1[redacted]", text)
    return redact(text)


def secrets_of(request: Any) -> list[str]:
    """Return what a request has sent in form fields of secret names; nothing of a body that wasn't read."""
    posted = getattr(request, "_post", None)
    return sent_secrets(posted.lists()) if isinstance(posted, QueryDict) else []


class Answered(NamedTuple):
    """What is written of a request: its path without the query string, where people paste things."""

    at: float
    method: str
    path: str
    status: int
    ms: float
    address: str | None
    request_id: str

    def json(self) -> str:
        """Return what JsonLines makes of any record, in a tenth of the time: its parts are clean already."""
        at, method, path, status, ms, address, mark = self
        seconds = int(at)
        line = (
            f'{_of_these(method, path, status, address)}, "ms": {ms}, "at": '
            f'"{_second(seconds)}.{int((at - seconds) * 1_000_000):06}+00:00"'
        )
        return f'{line}, "request_id": "{mark}"}}' if mark else f"{line}}}"


class AccessLine(logging.LogRecord):
    """The record of an answered request. Making a usual one takes as long as half of a check."""

    answered: Answered

    def __init__(self, answered: Answered) -> None:
        self.__dict__ = _ALIKE | {
            "args": (answered.method, answered.path), "created": answered.at, "status": answered.status,
            "ms": answered.ms, "address": answered.address, "answered": answered,
        }  # fmt: skip


# What is the same in all of them: they tell of no place in the code and of no thread.
_ALIKE: Final[dict[str, Any]] = {
    **logging.LogRecord(access_log.name, logging.INFO, __file__, 0, "%s %s", None, None).__dict__,
    "process": None, "processName": None, "thread": None, "threadName": None,
}  # fmt: skip


def access_line(method: str | None, path: str, status: int, seconds: float, address: str | None) -> None:
    """Write the line of a request that was answered."""
    if not access_log.isEnabledFor(logging.INFO):
        return
    ms = round(seconds * 1000, 1)
    answered = Answered(time.time(), clean(method or ""), clean(path), status, ms, address, request_id.get())
    handlers = logging.root.handlers
    if len(handlers) == 1 and isinstance(handlers[0], Lines) and not access_log.handlers:
        # Where nobody else listens, a record would be made to be taken apart again.
        handlers[0].add(answered)
    else:
        access_log.handle(AccessLine(answered))


# Services ask the same again and again.
@lru_cache(maxsize=1024)
def _of_these(method: str, path: str, status: int, address: str | None) -> str:
    """Return the beginning of a line, which has nothing of its moment."""
    said = {
        "level": "INFO",
        "logger": access_log.name,
        "message": f"{method} {path}",
        "status": status,
        "address": address,
    }
    return json.dumps(said, ensure_ascii=False).removesuffix("}")


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().removesuffix("+00:00")


class JsonLines(JsonFormatter):
    """Formats a record as JSON. The finished line is redacted, so its traceback is as well."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={"levelname": "level", "name": "logger"},
            timestamp="at",
            reserved_attrs=[*_STANDARD, "request"],
            json_ensure_ascii=False,
        )

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        super().add_fields(log_data, record, message_dict)
        # Django writes some lines when the answer is on its way, with the request beside them.
        current = request_id.get() or getattr(getattr(record, "request", None), "id", "")
        if current:
            log_data["request_id"] = current
        if secrets := secrets_of(getattr(record, "request", None)):
            for name, value in log_data.items():
                log_data[name] = blot(value, secrets) if isinstance(value, str) else value

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        # Before it is JSON: there a letter may belong to the escape before it.
        cleaned: dict[str, Any] = _cleaned(log_data)
        return cleaned

    def format(self, record: logging.LogRecord) -> str:
        if isinstance(record, AccessLine):
            return record.answered.json()
        return redact_tokens(super().format(record))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value


class Lines(logging.StreamHandler[Any]):
    """Writes lines to standard error: those of answered requests together, a few times a second.

    Each by itself would cost `authorize` a quarter of its speed, and have every thread wait for the others'.
    Any other line is written at once, after those that were there before it; so is what waits when the
    process ends. A process that is killed leaves a tenth of a second of answered requests unwritten.
    """

    EVERY_SECONDS: Final = 0.1
    _MOST: Final = 1000

    def __init__(self) -> None:
        super().__init__()
        self._waiting: deque[Answered] = deque()
        self._writer: threading.Thread | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if not isinstance(record, AccessLine):
            self.flush()
            super().emit(record)
            return
        self.add(record.answered)

    def add(self, answered: Answered) -> None:
        """Have the line of a request written soon."""
        self._waiting.append(answered)
        if len(self._waiting) >= self._MOST:
            self.flush()
        elif self._writer is None:
            self._start()

    def flush(self) -> None:
        """Write what waits. Where nobody takes it, it is lost: there is nowhere to say so."""
        self.acquire()
        try:
            # Others add meanwhile, without the lock; only who holds it takes away.
            if count := len(self._waiting):
                self.stream.write("".join([f"{self._waiting.popleft().json()}\n" for _ in range(count)]))
            super().flush()
        except (OSError, ValueError):
            pass
        finally:
            self.release()

    def _start(self) -> None:
        self._writer = threading.Thread(target=self._run, name="keyrack-log", daemon=True)
        self._writer.start()
        # Not atexit: a worker of the server ends by a signal, and runs these alone.
        Finalize(self, self.flush, exitpriority=5)

    def _run(self) -> None:
        while True:
            time.sleep(self.EVERY_SECONDS)
            if self._waiting:
                self.flush()
