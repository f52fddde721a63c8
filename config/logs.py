"""Logs: one JSON object a line on standard error, with the id of the request, and never a token."""

import logging
import re
from contextvars import ContextVar
from typing import Any, Final

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


def clean(text: str) -> str:
    """Return `text` without tokens and without the secret part of password links and invitations."""
    for link in (_PASSWORD_LINK, _INVITATION_LINK):
        text = link.sub(r"\1[redacted]", text)
    return redact(text)


def secrets_of(request: Any) -> list[str]:
    """Return what a request has sent in form fields of secret names; nothing of a body that wasn't read."""
    posted = getattr(request, "_post", None)
    return sent_secrets(posted.lists()) if isinstance(posted, QueryDict) else []


def access_line(method: str | None, path: str, status: int, seconds: float, address: str | None) -> None:
    """Write the line of a request: its path without the query string, where people paste things."""
    access_log.info(
        "%s %s",
        method,
        clean(path),
        extra={"status": status, "ms": round(seconds * 1000, 1), "address": address},
    )


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
        return redact_tokens(super().format(record))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_cleaned(item) for item in value]
    return value
