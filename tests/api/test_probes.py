"""/healthz, /readyz and /metrics: what orchestrators and Prometheus ask, in front of everything else."""

import logging
import os
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import pytest
from django.db import InterfaceError, OperationalError, connection, connections
from django.db.migrations.recorder import MigrationRecorder
from pytest_django import Settings
from redis.exceptions import ConnectionError as RedisAway

from config import metrics
from config.probes import Probes
from keys.gate import Gate
from keys.verification import check
from projects import readiness as parts
from projects import triggers
from projects.models import Project
from projects.readiness import Readiness
from tests.api.gates import Ask, asking
from tests.factories import IssuedFactory

pytestmark = pytest.mark.django_db

TOKEN: Final = "a-token-of-more-than-20-characters"
PATHS: Final = ["/healthz", "/readyz"]


def nobody(environ: Any, start_response: Any) -> Any:
    start_response("404 Not Found", [])
    return [environ["PATH_INFO"].encode()]


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Ask:
    """The probes of a process that has just started."""
    monkeypatch.setattr("config.probes.readiness", Readiness())
    return asking(Probes(nobody))


@pytest.fixture
def no_redis(settings: Settings) -> None:
    settings.KEYRACK_REDIS_URL = ""


@pytest.fixture
def redis_away(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def ping(self) -> None:
            raise RedisAway("redis://:s3cret@10.0.0.7 is away")

    settings.KEYRACK_REDIS_URL = "redis://10.0.0.7/0"
    monkeypatch.setattr(parts, "_client", lambda url: Away())


# The process


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "evil.example", ""])
def test_it_answers_by_any_name_and_over_plain_http(
    ask: Ask, settings: Settings, path: str, host: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    heard = ask(path, host=host)
    assert heard.status == 200
    assert heard.headers["Cache-Control"] == "no-store"
    assert heard.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert heard.headers["Content-Length"] == str(len(heard.body))


def test_health_asks_nothing(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "look", lambda: pytest.fail("It looked."))
    assert ask("/healthz").body == b"ok\n"


@pytest.mark.parametrize("path", PATHS)
def test_head_is_get_without_the_body(ask: Ask, path: str) -> None:
    got, head = ask(path), ask(path, method="HEAD")
    assert (head.status, head.body, head.headers) == (200, b"", got.headers)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_allowed(ask: Ask, path: str, method: str) -> None:
    heard = ask(path, method=method, body=b"x=1")
    assert (heard.status, heard.headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize("path", ["/", "/healthz/", "/readyz/x", "/api/v1/whoami"])
def test_everything_else_goes_on(ask: Ask, path: str) -> None:
    assert ask(path).body == path.encode()


def test_probes_are_no_lines_in_the_log(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="keyrack"):
        for path in PATHS * 2:
            ask(path)
    assert caplog.records == []


# Readiness


@pytest.mark.usefixtures("no_redis")
def test_it_is_ready(ask: Ask) -> None:
    heard = ask("/readyz")
    assert heard.status == 200
    assert heard.body == b"ready\ndatabase: ok\nmigrations: ok\ntriggers: ok\n"


@pytest.mark.parametrize("failure", [OperationalError, InterfaceError])
@pytest.mark.usefixtures("no_redis")
def test_without_the_database_it_is_not(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, failure: type[Exception]
) -> None:
    def away(_recorder: MigrationRecorder) -> None:
        raise failure("postgres://keyrack:s3cret@10.0.0.7 is away")

    closed: list[bool] = []
    monkeypatch.setattr(MigrationRecorder, "applied_migrations", away)
    monkeypatch.setattr(connections["default"], "close", lambda: closed.append(True))
    heard = ask("/readyz")
    assert (heard.status, heard.body) == (503, b"not ready\ndatabase: no answer\n")
    assert closed
    assert ask("/healthz").status == 200


@pytest.mark.usefixtures("no_redis")
def test_with_a_migration_to_do_it_is_not(ask: Ask) -> None:
    MigrationRecorder(connection).record_unapplied("keys", "0001_keys")
    heard = ask("/readyz")
    assert heard.status == 503
    assert b"\nmigrations: 1 not applied\n" in heard.body


@pytest.mark.usefixtures("no_redis")
def test_a_migration_of_a_later_version_is_no_obstacle(ask: Ask) -> None:
    MigrationRecorder(connection).record_applied("keys", "9999_later")
    assert ask("/readyz").status == 200


@pytest.mark.usefixtures("no_redis")
def test_without_a_trigger_it_is_not(ask: Ask) -> None:
    with connection.cursor() as cursor:
        table = " ON keys_key" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER keyrack_key_stays_revoked{table}")
    heard = ask("/readyz")
    triggers.install(connection)
    assert heard.status == 503
    assert b"\ntriggers: 1 missing\n" in heard.body


@pytest.mark.usefixtures("redis_away")
def test_without_redis_it_is_not(ask: Ask) -> None:
    heard = ask("/readyz")
    assert heard.status == 503
    assert b"\nredis: no answer\n" in heard.body
    assert b"s3cret" not in heard.body


@pytest.mark.usefixtures("redis_away")
def test_it_is_where_rate_limits_let_requests_pass_without_redis(ask: Ask, settings: Settings) -> None:
    settings.KEYRACK_THROTTLE_FAILS = "open"
    heard = ask("/readyz")
    assert heard.status == 200
    assert heard.body.startswith(b"ready\n")
    assert b"\nredis: no answer\n" in heard.body


def test_a_redis_that_answers_is_fine(ask: Ask, settings: Settings) -> None:
    settings.KEYRACK_REDIS_URL = os.environ.get("REDIS_URL", "")
    heard = ask("/readyz")
    assert heard.status == 200
    assert (b"\nredis: ok\n" in heard.body) is bool(settings.KEYRACK_REDIS_URL)


@pytest.mark.usefixtures("redis_away")
def test_a_change_is_one_line_in_the_log(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(parts, "_LOOK_EVERY_SECONDS", 0)
    one = Readiness()
    with caplog.at_level(logging.INFO, logger="keyrack"):
        one.report()
        one.report()
        settings.KEYRACK_REDIS_URL = ""
        one.report()
        one.report()
    assert [record.getMessage() for record in caplog.records] == [
        "Not ready. redis: no answer",
        "Ready again.",
    ]


def test_it_looks_once_a_second_however_often_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter([parts.look()])
    monkeypatch.setattr(parts, "look", lambda: next(looks))
    one = Readiness()
    assert {one.report().is_ready for _ in range(50)} == {True}


def test_a_look_that_hangs_keeps_nobody_waiting_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    hanging, go_on = threading.Event(), threading.Event()
    report = parts.look()

    def hang() -> parts.Report:
        hanging.set()
        go_on.wait(10)
        return report

    monkeypatch.setattr(parts, "look", hang)
    monkeypatch.setattr(parts, "_PATIENCE_SECONDS", 0.05)
    one = Readiness()
    first = threading.Thread(target=one.report)
    first.start()
    assert hanging.wait(10)
    assert not one.report().is_ready
    go_on.set()
    first.join(10)
    assert one.report().is_ready


# Metrics


@pytest.fixture
def measured(settings: Settings) -> Iterator[Ask]:
    """The whole application with metrics on, as config.wsgi puts it together, without Django's pages."""
    settings.KEYRACK_METRICS_TOKEN = TOKEN
    metrics.switch_on()
    yield asking(Probes(metrics.Measured(Gate(nobody))))
    metrics.switch_off()


def scraped(ask: Ask, token: str = TOKEN) -> dict[str, float]:
    heard = ask("/metrics", headers={"Authorization": f"Bearer {token}"}, host="10.1.2.3:8000")
    assert heard.status == 200
    assert heard.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert heard.headers["Cache-Control"] == "no-store"
    lines = [line for line in heard.body.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


@pytest.mark.usefixtures("settings")
def test_there_are_none_unless_they_are_enabled(ask: Ask) -> None:
    assert ask("/metrics", headers={"Authorization": "Bearer "}).body == b"/metrics"
    assert ask("/metrics").status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \xff\u20ac"},
        {"X-API-Key": TOKEN},
    ],
)
def test_nobody_reads_them_without_the_token(measured: Ask, headers: dict[str, str]) -> None:
    heard = measured("/metrics", headers=headers)
    assert heard.status == 401
    assert heard.headers["WWW-Authenticate"].startswith("Bearer ")
    assert b"keyrack_" not in heard.body


def test_checks_are_counted_by_verdict(measured: Ask, project: Project, at: datetime) -> None:
    token = IssuedFactory(project=project, at=at, type="privileged").token
    query = "project=acme&resource=sources&action=read"
    for presented in (token, token, "nonsense", token[:-1] + "!"):
        measured("/api/v1/authorize", query, {"Authorization": f"Bearer {presented}"})
    # Any surface counts; what isn't counted as a check isn't one here.
    check(token, at=at, scopes=("gateway:use",))
    check(token, at=at, counted=False)
    found = scraped(measured)
    verdicts = {name: value for name, value in found.items() if name.startswith("keyrack_checks_total")}
    assert verdicts == {
        'keyrack_checks_total{verdict="valid"}': 2,
        'keyrack_checks_total{verdict="malformed"}': 2,
        'keyrack_checks_total{verdict="scope-missing"}': 1,
    }


def test_requests_are_counted_and_timed_by_surface(measured: Ask) -> None:
    measured("/api/v1/authorize", "project=nowhere")
    measured("/api/v1/introspect", method="POST")
    for path in ("/api/v1/whoami", "/static/css/x.css", "/projects/acme/settings/keys/", "/healthz"):
        measured(path)
    found = scraped(measured)
    counted = {name: value for name, value in found.items() if name.startswith("keyrack_requests_total")}
    assert {name.partition("surface=")[2].strip('"}') for name in counted} == {
        "authorize", "introspect", "api", "static", "console",
    }  # fmt: skip
    assert found['keyrack_requests_total{status="400",surface="authorize"}'] == 1
    for surface in ("authorize", "introspect", "api", "static", "console"):
        assert found[f'keyrack_request_seconds_count{{surface="{surface}"}}'] == 1
        assert found[f'keyrack_request_seconds_bucket{{le="+Inf",surface="{surface}"}}'] == 1


def test_a_request_that_breaks_is_counted_as_a_500(settings: Settings) -> None:
    def broken(_environ: Any, _start_response: Any) -> Any:
        raise RuntimeError

    settings.KEYRACK_METRICS_TOKEN = TOKEN
    metrics.switch_on()
    ask = asking(Probes(metrics.Measured(broken)))
    with pytest.raises(RuntimeError):
        ask("/anything")
    assert scraped(ask)['keyrack_requests_total{status="500",surface="console"}'] == 1
    metrics.switch_off()


def test_no_label_holds_anything_of_a_key(measured: Ask, project: Project, at: datetime) -> None:
    issued = IssuedFactory(project=project, at=at, name="Docs crawler", type="privileged")
    measured("/api/v1/authorize", "project=acme", {"Authorization": f"Bearer {issued.token}"})
    measured(f"/projects/acme/settings/keys/{issued.key.key_id}/")
    text = " ".join(scraped(measured))
    for secret in (issued.token, issued.key.key_id, "acme", "Docs crawler", TOKEN):
        assert secret not in text
