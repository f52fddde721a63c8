"""`manage.py audit`: prove the audit log, and export its heads."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError

from projects import audit
from projects.models import SITE_LOG, AuditChain, AuditEvent, Project

Heads = dict[int, tuple[int, str]]

_ALL: Final = "all"
_MISUSED: Final = 2
_FIRST_SHOWN: Final = 100

_EXPLANATION: Final = """\
Each project has a log of its own, and the site has one for sign-ins and staff. Each event carries a
number and an HMAC, under the audit key, over itself and the event before it.

  audit verify               reads every log, and says whether the chain holds
  audit head > heads.jsonl   exports the last number and HMAC of each log
  audit verify --head heads.jsonl
                             also says whether each log still goes as far as it went then

What it proves: nobody without the audit key has changed, dropped, inserted or reordered an event.
What it can't prove alone: that the end is there. Whoever can write to the database can cut a log back
to an earlier event and set its head to match. Keep the heads in another place, and give them back with
--head. Nothing here proves anything against somebody who has the audit key: keep it, and its backups,
away from the database's.

It ends with 0 where the chain holds, with 1 where it doesn't, and with 2 where it can't tell.
"""


class Command(BaseCommand):
    help = _EXPLANATION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The explanation has lines of its own.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True, metavar="verify | head")
        verify = verbs.add_parser("verify", help="say whether the chain holds")
        verify.add_argument(
            "--head",
            metavar="FILE",
            help="heads that `audit head` exported before (- reads standard input)",
        )
        head = verbs.add_parser("head", help="export the heads, one JSON object a line")
        for verb in (verify, head):
            verb.add_argument(
                "--project",
                default=_ALL,
                metavar="SLUG",
                help="one project's log (default: all, the site's too)",
            )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._answer(options["verb"], options["project"], options.get("head"))
        except DatabaseError as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CommandError(f"The database can't be used: {reason}", returncode=2) from None

    def _answer(self, verb: str, project: str, head: str | None) -> None:
        logs = _logs(project)
        if verb == "head":
            self._head(logs)
        else:
            self._verify(logs, project, head)

    def _head(self, logs: dict[int, str]) -> None:
        for project_id, label in logs.items():
            number, mac = audit.head(project_id)
            line = {"project_id": project_id, "project": label, "number": number, "mac": mac}
            self.stdout.write(json.dumps(line))

    def _verify(self, logs: dict[int, str], chosen: str, head: str | None) -> None:
        exported = _exported(head) if head else {}
        if chosen == _ALL:
            logs |= {project_id: f"log {project_id}" for project_id in exported.keys() - logs.keys()}
        elif head and not exported.keys() & logs.keys():
            raise CommandError(f"{head} has no head of {chosen}.", returncode=_MISUSED)
        problems = [
            f"{label}: {problem}"
            for project_id, label in logs.items()
            for problem in _problems(project_id, exported.get(project_id))
        ]
        self._report(problems, logs)

    def _report(self, problems: list[str], logs: dict[int, str]) -> None:
        for problem in problems[:_FIRST_SHOWN]:
            self.stderr.write(problem)
        if problems:
            raise CommandError(f"{_count(len(problems), 'problem')}: the chain does not hold.")
        events = AuditEvent.objects.filter(project_id__in=logs).count()
        self.stdout.write(f"{_count(events, 'event')} in {_count(len(logs), 'log')}: the chain holds.")


def _logs(chosen: str) -> dict[int, str]:
    """Return the logs by project id, with what to call them. A deleted project's log stays."""
    slugs = dict(Project.objects.order_by("pk").values_list("pk", "slug"))
    if chosen != _ALL:
        found = {pk: slug for pk, slug in slugs.items() if slug == chosen}
        if not found:
            raise CommandError(f"There is no project “{chosen}”.", returncode=_MISUSED)
        return found
    # Also of projects whose row is gone, or whose head is: somebody may have wanted that.
    heads = AuditChain.objects.values_list("pk", flat=True)
    events = AuditEvent.objects.values_list("project_id", flat=True).distinct()
    known = sorted({*slugs, *heads, *events})
    return {pk: "site" if pk == SITE_LOG else slugs.get(pk, f"log {pk}") for pk in known}


def _problems(project_id: int, exported: tuple[int, str] | None) -> Iterator[str]:
    yield from audit.verify(project_id, exported)
    if project_id != SITE_LOG and not AuditEvent.objects.filter(project_id=project_id).exists():
        yield "the log is empty, though a project's begins with its making"


def _exported(name: str) -> Heads:
    """Read the lines that `audit head` wrote. Raises CommandError."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} can't be read: {error}", returncode=_MISUSED) from None
    heads: Heads = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            values = json.loads(line)
            heads[int(values["project_id"])] = int(values["number"]), str(values["mac"])
        except (ValueError, TypeError, KeyError):
            raise CommandError(
                f"{name}, line {number}: not a head that `audit head` wrote.", returncode=_MISUSED
            ) from None
    if not heads:
        raise CommandError(f"{name} holds no heads.", returncode=_MISUSED)
    return heads


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
