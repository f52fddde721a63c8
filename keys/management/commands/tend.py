"""`manage.py tend`: the upkeep of an installation, to be run once a day."""

import argparse
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.utils import Error as DatabaseError
from django.utils import timezone

from keys import purging
from keys.management.commands._keys.actors import whoever_runs
from projects.models import Project

_EXPLANATION: Final = f"""\
Delete what nobody needs any more. Run it once a day, as whoever runs the server; for example by cron:

  17 4 * * *  cd /srv/keyrack && .venv/bin/python manage.py tend

It purges projects that were deleted at least {purging.PROJECTS_KEPT.days} days ago: their keys, members,
invitations, channels, provider keys, scopes and counts. The project's address and its audit events stay for
good. It forgets form nonces and Idempotency-Keys that were spent more than {purging.NONCES_KEPT.days} days
ago. And it deletes old counts of checks: by the hour after {purging.HOURS_KEPT.days} days (their day's count
has them), where calls came from {purging.SOURCES_KEPT.days} days after the last one, by the day, and when a
scope was last used, after {purging.DAYS_KEPT.days} days.

It works in small batches while the server runs. It may be stopped at any time, and two may run at once: the
next run goes on where this one stood. It ends with 0 when all is done, with 2 where it can't be.
"""

_MISUSED: Final = 2
_SAID_EVERY_SECONDS: Final = 5.0


def days(text: str) -> timedelta:
    """Read a number of whole days."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 5):
        raise argparse.ArgumentTypeError(f"“{text}” isn't a number of days from 0 to 99999.")
    return timedelta(days=int(text))


class Command(BaseCommand):
    help = _EXPLANATION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The explanation has lines of its own.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--keep-days",
            type=days,
            default=purging.PROJECTS_KEPT,
            metavar="DAYS",
            help=f"purge projects that were deleted so long ago (default: {purging.PROJECTS_KEPT.days})",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say which projects would be purged, and delete nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            projects = purging.due(at, options["keep_days"])
            for project in projects:
                self._purge(project, at, dry=options["dry_run"])
            if not options["dry_run"]:
                self._say(sum(purging.forget_nonces(at)), "spent nonce", "forgotten")
                self._say(sum(purging.forget_counts(at)), "old count", "deleted")
        except DatabaseError as error:
            reason = (str(error).splitlines() or ["no reason given"])[0]
            raise CommandError(f"The database can't be used: {reason}", returncode=_MISUSED) from None

    def _purge(self, project: Project, at: datetime, *, dry: bool) -> None:
        rows = purging.rows_of(project)
        if dry:
            self.stdout.write(f"{project.slug}: {rows:,} rows would be purged.")
            return
        done = self._tell(project.slug, rows, purging.purge(project, actor=whoever_runs(), at=at))
        self.stdout.write(f"{project.slug}: purged, {done:,} rows.")

    def _say(self, count: int, what: str, done: str) -> None:
        self.stdout.write(f"{count:,} {what if count == 1 else f'{what}s'} {done}.")

    def _tell(self, slug: str, rows: int, batches: Iterator[int]) -> int:
        """Go through the batches and say now and then how far it is. Return how many rows went."""
        done, said = 0, time.monotonic()
        for taken in batches:
            done += taken
            if time.monotonic() - said >= _SAID_EVERY_SECONDS:
                said = time.monotonic()
                self.stdout.write(f"{slug}: {done:,} of {rows:,} rows")
                self.stdout.flush()
        return done
