"""`manage.py seed`: a believable project of any size, to try Keyrack with and to measure it."""

import argparse
import time
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Exists, OuterRef, QuerySet
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from keys import bulk
from keys.bulk import Seeded
from keys.management.commands._keys.actors import whoever_runs
from keys.seeding import Invented, Inventor
from projects import audit
from projects.lifecycle import create_project
from projects.models import AuditChain, AuditEvent, Project, User

_EXPLANATION: Final = """\
Make a project full of invented keys: names that people would give, every type, scopes, ages of up to three
years, use, keys that were revoked, expired, paused or are being replaced. Nobody has the secret of one.

  manage.py seed --keys 1000

Its people can't sign in; --owner names the account that gets the project, else it is the oldest one of staff.
An empty database gets its first account as on a first start.

It refuses a database with a project in which somebody has done something, unless you say
--beside-real-projects. To be rid of a seeded project, delete it as any other.
"""

_MISUSED: Final = 2
_MOST: Final = 10_000_000
_SAID_EVERY_SECONDS: Final = 2.0
# What stands in the log of a project that was just made: it was created, its key issued, its owner added.
_EVENTS_OF_A_START: Final = 3


def number(text: str) -> int:
    """Read a whole number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 8 and int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"“{text}” isn't a whole number from 0 to {_MOST:,}.")
    return int(text)


class Command(BaseCommand):
    help = _EXPLANATION
    # What invents the keys; the benchmarks have another.
    inventor: type[Inventor] = Inventor

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The explanation has lines of its own.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--keys", type=number, required=True, metavar="N", help="so many keys")
        parser.add_argument(
            "--project",
            default="Northwind",
            metavar="NAME",
            help="what the project is called (default: Northwind)",
        )
        parser.add_argument("--owner", metavar="EMAIL", help="the account that gets the project")
        parser.add_argument(
            "--history",
            type=number,
            default=10_000,
            metavar="N",
            help="the newest N keys have their events in the audit log (default: 10000)",
        )
        parser.add_argument(
            "--beside-real-projects", action="store_true", help="don't mind that there are real projects"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if not options["beside_real_projects"]:
                _refuse_real()
            self._seed(**{name: options[name] for name in ("keys", "project", "owner", "history")})
        except ValidationError as error:
            raise CommandError(" ".join(error.messages), returncode=_MISUSED) from None
        except DatabaseError as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CommandError(f"The database can't be used: {reason}", returncode=_MISUSED) from None

    def _seed(self, keys: int, project: str, owner: str | None, history: int) -> None:
        at = timezone.now()
        if not User.objects.exists():
            call_command("first_run", stdout=self.stdout)
        seeded = self._founded(project, _owner(owner), keys)
        newest: deque[Invented] = deque(maxlen=history)
        bulk.prepare()
        try:
            for batch in self._told(self.inventor(seeded.project.slug, at).keys(keys), keys):
                bulk.write(seeded, batch)
                newest.extend(batch)
            if newest:
                self.stdout.write(f"Writing what became of {len(newest):,} of them into the audit log.")
            bulk.record(seeded, newest, at)
        finally:
            bulk.settle()
        self.stdout.write(f"{seeded.project.slug}: {keys:,} invented {'key' if keys == 1 else 'keys'}.")

    def _founded(self, name: str, owner: User, keys: int) -> Seeded:
        """Make the project, and say in its log what it is before there is anything in it."""
        at = timezone.now()
        project = create_project(name, owner=owner, at=at, actor=whoever_runs())
        with audit.log(project.pk, whoever_runs(), at) as log:
            log.record("project.seeded", "project", project.slug, project.name, keys=[0, keys])
        return bulk.furnish(project, at)

    def _told(self, invented: Iterator[Invented], count: int) -> Iterator[list[Invented]]:
        """Yield the keys in batches, and say now and then how far it is."""
        done, began = 0, time.monotonic()
        said = began
        while batch := list(islice(invented, bulk.BATCH)):
            yield batch
            done += len(batch)
            if time.monotonic() - said >= _SAID_EVERY_SECONDS:
                said = time.monotonic()
                self.stdout.write(f"{done:,} of {count:,} keys, {done / (said - began):,.0f} a second")
                self.stdout.flush()


def _owner(email: str | None) -> User:
    if email is None:
        owner = User.objects.filter(is_active=True, is_staff=True).order_by("pk").first()
        missing = "No account of staff is active: name one with --owner."
    else:
        owner, missing = User.objects.at_address(email), "No active account has this address."
    if owner is None or not owner.is_active:
        raise CommandError(missing, returncode=_MISUSED)
    return owner


def _refuse_real() -> None:
    """Raise CommandError where a project that wasn't seeded has seen more than its beginning. One query."""
    names = list(_real_projects().order_by("pk").values_list("slug", flat=True)[:3])
    if names:
        said = f"This database has real projects ({', '.join(names)}): say --beside-real-projects."
        raise CommandError(said, returncode=_MISUSED)


def _real_projects() -> QuerySet[Project]:
    busy = AuditChain.objects.filter(project_id=OuterRef("pk"), number__gt=_EVENTS_OF_A_START)
    seeded = AuditEvent.objects.filter(project_id=OuterRef("pk"), verb="project.seeded")
    return Project.objects.filter(Exists(busy)).exclude(Exists(seeded))
