import io
import json
from datetime import datetime
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from projects import audit
from projects.audit import Actor
from projects.models import SITE_LOG, AuditChain, AuditEvent, Project, Role
from tests.db.tampering import guards_lifted
from tests.factories import IssuedFactory, ProjectFactory

pytestmark = pytest.mark.django_db

ACTOR = Actor("person", "7", "Mara Lindqvist", Role.OWNER)


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command("audit", *arguments, stdout=output, stderr=output)
    return output.getvalue()


def failing(*arguments: str) -> tuple[str, CommandError]:
    """Return what the command printed before it failed, and its error."""
    output = io.StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("audit", *arguments, stdout=output, stderr=output)
    return output.getvalue(), caught.value


@pytest.fixture
def other(project: Project) -> Project:
    return ProjectFactory(name="Other", slug="other")


def cut(project_id: int, number: int) -> None:
    with guards_lifted():
        AuditEvent.objects.filter(project_id=project_id, number__gt=number).delete()
        mac = AuditEvent.objects.get(project_id=project_id, number=number).mac
        AuditChain.objects.filter(pk=project_id).update(number=number, mac=mac)


def test_verify_counts_what_it_proved(project: Project, other: Project, at: datetime) -> None:
    IssuedFactory(project=project)
    assert run("verify") == "5 events in 2 logs: the chain holds.\n"
    with audit.log(SITE_LOG, ACTOR, at) as log:
        log.record("person.signed_in")
    assert run("verify") == "6 events in 3 logs: the chain holds.\n"
    assert run("verify", "--project", "all") == run("verify")
    assert run("verify", "--project", "acme") == "3 events in 1 log: the chain holds.\n"


def test_verify_proves_an_empty_installation(db: None) -> None:
    assert run("verify") == "0 events in 0 logs: the chain holds.\n"


def test_verify_lists_each_problem_and_ends_with_1(project: Project, other: Project) -> None:
    with guards_lifted():
        AuditEvent.objects.filter(project_id=project.pk, number=1).update(verb="project.deleted")
        AuditEvent.objects.filter(project_id=other.pk, number=2).delete()
    printed, error = failing("verify")
    assert printed.splitlines() == [
        "acme: event 1 was changed, or does not follow 0",
        "other: the log ends at event 1, its head says 2",
    ]
    assert str(error) == "2 problems: the chain does not hold."
    assert error.returncode == 1


def test_verify_of_one_project_looks_at_no_other(project: Project, other: Project) -> None:
    with guards_lifted():
        AuditEvent.objects.filter(project_id=other.pk).delete()
    assert "holds" in run("verify", "--project", "acme")
    printed, error = failing("verify", "--project", "other")
    assert "other: the log ends at event 0" in printed
    assert error.returncode == 1


def test_verify_still_proves_the_log_of_a_deleted_project(project: Project, at: datetime) -> None:
    project.deleted_at = at
    project.save(update_fields=["deleted_at"])
    assert run("verify", "--project", "acme") == "2 events in 1 log: the chain holds.\n"


def test_verify_notices_a_log_that_is_gone_with_its_head(project: Project, other: Project) -> None:
    with guards_lifted():
        AuditEvent.objects.filter(project_id=other.pk).delete()
        AuditChain.objects.filter(pk=other.pk).delete()
    printed, error = failing("verify")
    assert printed == "other: the log is empty, though a project's begins with its making\n"
    assert str(error) == "1 problem: the chain does not hold."


def test_verify_notices_events_of_a_project_that_never_was(project: Project) -> None:
    event = AuditEvent.objects.filter(project_id=project.pk).first()
    assert event is not None
    event.pk, event.project_id = None, 424242
    event.save(force_insert=True)
    printed, _ = failing("verify")
    assert printed.startswith("log 424242: event 1 was changed")


def test_head_exports_each_log_as_a_line_of_json(project: Project, other: Project, at: datetime) -> None:
    with audit.log(SITE_LOG, ACTOR, at) as log:
        log.record("person.signed_in")
    lines = [json.loads(line) for line in run("head").splitlines()]
    assert [(line["project_id"], line["project"], line["number"]) for line in lines] == [
        (0, "site", 1), (project.pk, "acme", 2), (other.pk, "other", 2),
    ]  # fmt: skip
    assert [line["mac"] for line in lines] == [audit.head(line["project_id"])[1] for line in lines]
    assert json.loads(run("head", "--project", "acme")) == lines[1]


def test_verify_notices_a_cut_tail_with_an_exported_head(
    project: Project, other: Project, tmp_path: Path
) -> None:
    IssuedFactory(project=project)
    heads = tmp_path / "heads.jsonl"
    heads.write_text(run("head"))
    assert "holds" in run("verify", "--head", str(heads))
    cut(project.pk, 2)
    assert "holds" in run("verify")
    for chosen in ("all", "acme"):
        printed, error = failing("verify", "--project", chosen, "--head", str(heads))
        assert printed == "acme: the log ends at event 2, the exported head is 3\n"
        assert error.returncode == 1
    assert "holds" in run("verify", "--project", "other", "--head", str(heads))


def test_verify_notices_a_log_that_the_exported_heads_know_and_the_database_does_not(
    project: Project, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    mac = "0" * 64
    heads.write_text(json.dumps({"project_id": 424242, "project": "gone", "number": 3, "mac": mac}))
    printed, _ = failing("verify", "--head", str(heads))
    assert printed.startswith("log 424242: the log ends at event 0, the exported head is 3")


def test_verify_reads_heads_from_standard_input(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    exported = run("head")
    IssuedFactory(project=project)
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    assert "holds" in run("verify", "--head", "-")
    cut(project.pk, 1)
    monkeypatch.setattr("sys.stdin", io.StringIO(exported))
    assert "exported head is 2" in failing("verify", "--head", "-")[0]


@pytest.mark.parametrize(
    "text",
    ["", "\n", "not json", "[]", "{}", '{"project_id": "x", "number": 1, "mac": ""}', "null"],
)
def test_a_file_that_holds_no_heads_is_said_to_be_unusable(
    project: Project, tmp_path: Path, text: str
) -> None:
    heads = tmp_path / "heads.jsonl"
    heads.write_text(text)
    _, error = failing("verify", "--head", str(heads))
    assert str(heads) in str(error)
    assert error.returncode == 2


def test_a_file_that_is_not_there_is_said_to_be_unusable(project: Project, tmp_path: Path) -> None:
    _, error = failing("verify", "--head", str(tmp_path / "none"))
    assert "can't be read" in str(error)
    assert error.returncode == 2


def test_heads_without_the_project_that_was_asked_for_prove_nothing_about_it(
    project: Project, other: Project, tmp_path: Path
) -> None:
    heads = tmp_path / "heads.jsonl"
    heads.write_text(run("head", "--project", "other"))
    _, error = failing("verify", "--project", "acme", "--head", str(heads))
    assert str(error) == f"{heads} has no head of acme."
    assert error.returncode == 2


@pytest.mark.parametrize("verb", ["verify", "head"])
def test_a_project_that_is_not_there_is_said_to_be_missing(db: None, verb: str) -> None:
    _, error = failing(verb, "--project", "nope")
    assert str(error) == "There is no project “nope”."
    assert error.returncode == 2


def test_an_audit_key_that_was_changed_floods_no_terminal(
    project: Project, at: datetime, settings: object
) -> None:
    with audit.log(project.pk, ACTOR, at) as log:
        for _ in range(150):
            log.record("key.issued")
    settings.KEYRACK_AUDIT_KEY = b"x" * 32  # type: ignore[attr-defined]
    printed, error = failing("verify")
    assert len(printed.splitlines()) == 100
    assert str(error) == "152 problems: the chain does not hold."


def test_its_help_says_what_it_proves_and_what_it_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        call_command("audit", "--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "nobody without the audit key has changed, dropped, inserted or reordered" in text
    assert "can cut a log back to an earlier event and set its head to match" in text
