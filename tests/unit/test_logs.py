"""config/logs.py and config/reports.py: what is written down when something happens or breaks."""

import json
import logging
import sys
import time
from collections.abc import Iterator
from io import StringIO
from types import TracebackType
from typing import Any

import pytest
from django.http import HttpRequest, QueryDict
from django.test import RequestFactory

from config.logs import AccessLine, Answered, JsonLines, Lines, clean, request_id
from config.reports import Reporter

TOKEN = "kr_live_7Fq2aaaaaaaa" + "S3cretS3cretS3cretS3cretS3cretS3cretS3" + "x9Qa12"


def line(message: str, *args: object, exc_info: Any = None, **extra: Any) -> dict[str, Any]:
    record = logging.LogRecord("test", logging.ERROR, "x.py", 1, message, args, exc_info)
    record.__dict__.update(extra)
    written: dict[str, Any] = json.loads(JsonLines().format(record))
    return written


def failing(secret: str) -> tuple[type[BaseException], BaseException, TracebackType]:
    presented = secret  # noqa: F841 -- a variable that a report would show
    harmless = f"got {secret}"
    try:
        raise ValueError(f"can't read {harmless}")
    except ValueError:
        return sys.exc_info()  # type: ignore[return-value]


def test_a_line_is_json_with_the_request_it_belongs_to() -> None:
    mark = request_id.set("0123456789abcdef")
    try:
        written = line("%s %s", "GET", "/", status=200)
    finally:
        request_id.reset(mark)
    assert written["message"] == "GET /"
    assert (written["level"], written["logger"], written["status"]) == ("ERROR", "test", 200)
    assert written["request_id"] == "0123456789abcdef"
    assert written["at"].endswith("+00:00")


def test_a_line_about_a_request_that_was_answered_names_it_too() -> None:
    request = RequestFactory().get("/")
    request.id = "fedcba9876543210"  # type: ignore[attr-defined]
    written = line("Not Found", request=request)
    assert written["request_id"] == "fedcba9876543210"
    assert "request" not in written


def test_a_line_outside_of_a_request_names_none() -> None:
    assert "request_id" not in line("started")


def test_no_token_gets_into_a_line() -> None:
    written = json.dumps(line("Not Found: /%s", TOKEN, exc_info=failing(TOKEN), where=[TOKEN]))
    assert "S3cret" not in written
    assert written.count("kr_live_[redacted]") >= 3


def test_no_password_link_gets_into_a_line() -> None:
    path = "/account/password/reset/key/1k-cabc12-9f8e7d6c5b4a/"
    assert clean(path) == "/account/password/reset/key/1k-[redacted]/"
    form = "/account/password/reset/key/1k-set-password/"
    assert clean(form) == form


@pytest.mark.parametrize("token", ["aB3" * 14 + "x", "aB3" * 5])
def test_no_invitation_gets_into_a_line(token: str) -> None:
    """Half of a link is taken out as well; the public id of an invitation stays."""
    assert clean(f"/invitations/{token}/") == "/invitations/[redacted]/"
    assert token not in json.dumps(line("GET %s", f"http://x/invitations/{token}/"))
    known = "/projects/acme/settings/members/invitations/aB3aB3aB3aB3/revoke/"
    assert clean(known) == known
    assert clean("/invitations/mine/aB3aB3aB3aB3/") == "/invitations/mine/aB3aB3aB3aB3/"


def report(request: HttpRequest | None = None) -> str:
    reporter = Reporter(request, *failing(TOKEN))
    return reporter.get_traceback_text() + reporter.get_traceback_html()


def test_no_token_gets_into_an_error_report() -> None:
    request = RequestFactory().post(
        f"/?q={TOKEN}", {"q": TOKEN}, headers={"X-Note": TOKEN, "Authorization": f"Bearer {TOKEN}"}
    )
    assert "S3cret" not in report(request)


@pytest.mark.parametrize("name", ["password", "new_secret", "token"])
def test_a_report_leaves_out_fields_by_their_names(name: str) -> None:
    request = RequestFactory().post("/", {name: "correct horse", "note": "plain text"})
    assert isinstance(request.POST, QueryDict)
    shown = Reporter(request, *failing("x")).filter.get_post_parameters(request)
    assert shown[name] != "correct horse"
    assert shown["note"] == "plain text"


def test_a_report_leaves_out_variables_by_their_names() -> None:
    kind, error, traceback = failing("half-of-one")
    report_filter = Reporter(None, kind, error, traceback).filter
    shown = dict(report_filter.get_traceback_frame_variables(None, traceback.tb_frame))
    assert shown["presented"] != "half-of-one"
    assert shown["harmless"] == "got half-of-one"


# The line of an answered request


def access(path: str = "/api/v1/authorize", address: str | None = "203.0.113.7") -> AccessLine:
    return AccessLine(Answered(1_800_000_000.5, "GET", path, 200, 0.4, address, request_id.get()))


def paths(lines: Lines) -> list[str]:
    """The paths of the requests that were written, and the messages of other lines."""
    written = [json.loads(line) for line in lines.stream.getvalue().splitlines()]
    return [line["message"].removeprefix("GET ") for line in written]


@pytest.mark.parametrize("address", ["203.0.113.7", None])
def test_the_line_of_a_request_is_as_any_other_of_the_same_words(address: str | None) -> None:
    mark = request_id.set("0123456789abcdef")
    try:
        given = json.loads(JsonLines().format(access('/a"b\\c\n\u00fc', address)))
        usual = line("%s %s", "GET", '/a"b\\c\n\u00fc', status=200, ms=0.4, address=address)
    finally:
        request_id.reset(mark)
    del usual["at"]
    assert given.pop("at") == "2027-01-15T08:00:00.500000+00:00"
    assert given == usual | {"level": "INFO", "logger": "keyrack.access"}


def test_it_keeps_the_id_of_its_request_until_it_is_written() -> None:
    mark = request_id.set("0123456789abcdef")
    record = access()
    request_id.reset(mark)
    assert json.loads(JsonLines().format(record))["request_id"] == "0123456789abcdef"
    assert "request_id" not in json.loads(JsonLines().format(access()))


@pytest.mark.parametrize(
    "secret",
    ["kr_live_7Fq2aaaaaaaaS", "sk-aB3" + "x" * 13, "AIza" + "x" * 30, "aB3" + "x" * 35,
     "/invitations/7Fq2aaaaaaaaS", "/password/reset/key/1-x"],
)  # fmt: skip
def test_no_text_is_too_short_to_be_cleaned(secret: str) -> None:
    assert clean(secret) != secret


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Iterator[Lines]:
    lines = Lines()
    lines.setFormatter(JsonLines())
    lines.setStream(StringIO())
    # No writer of its own: what waits is written when the test says so.
    monkeypatch.setattr(lines, "_start", lambda: None)
    yield lines
    lines.close()


def test_requests_are_written_together_soon_after(lines: Lines) -> None:
    for n in range(3):
        lines.handle(access(f"/{n}"))
    assert lines.stream.getvalue() == ""
    lines.flush()
    assert paths(lines) == ["/0", "/1", "/2"]


def test_another_line_is_written_at_once_after_the_requests_before_it(lines: Lines) -> None:
    lines.handle(access("/0"))
    lines.handle(logging.LogRecord("test", logging.ERROR, "x.py", 1, "broken", (), None))
    assert paths(lines) == ["/0", "broken"]


def test_no_more_than_a_thousand_wait(lines: Lines) -> None:
    for _ in range(1000):
        lines.handle(access())
    assert lines.stream.getvalue().count("\n") == 1000


def test_a_stream_that_is_gone_harms_no_request(lines: Lines) -> None:
    lines.stream.close()
    for _ in range(1001):
        lines.handle(access())
    lines.flush()
    assert len(lines._waiting) == 0


def test_a_writer_sees_to_it_that_nothing_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lines, "EVERY_SECONDS", 0.001)
    lines = Lines()
    lines.setStream(StringIO())
    lines.handle(access())
    until = time.monotonic() + 60
    while not lines.stream.getvalue() and time.monotonic() < until:
        time.sleep(0.001)
    assert paths(lines) == ["/api/v1/authorize"]


def test_other_handlers_get_a_whole_record() -> None:
    shown = logging.Formatter("%(name)s %(levelname)s %(funcName)s %(thread)s %(message)s").format(access())
    assert shown == "keyrack.access INFO None None GET /api/v1/authorize"
