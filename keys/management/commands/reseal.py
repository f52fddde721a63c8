"""`manage.py reseal`: move every sealed value to the newest sealing key."""

import argparse
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from keys import resealing
from keys.management.commands._keys import exits, streams
from keys.management.commands._keys.actors import whoever_runs
from keys.management.commands._keys.tables import Progress
from keys.resealing import Resealed

_EXPLANATION: Final = """\
Keyrack seals what it must read again (provider keys, the Automator Key, recoverable keys, second factors)
with the first of its sealing keys, and opens with any of them. This command opens every sealed value and
seals those that are under an older key with the first one, so that the older ones can be taken away.

It runs beside servers, and it may be stopped and run again: what was moved stays moved. A value that doesn't
open is left as it is, and at the end its row is named: project, kind, name and id, or whose second factor
it is; and why.

It ends with 0 where every value is under the newest key and opens, with 1 where one doesn't open, and with 5
where the database can't be used.
"""


class Command(BaseCommand):
    help = _EXPLANATION

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The explanation has lines of its own.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def run_from_argv(self, argv: list[str]) -> None:
        streams.tolerate_any_name()
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        with exits.translated():
            progress = Progress(self.stderr.write, "sealed values", resealing.count())
            done = resealing.reseal(actor=whoever_runs(), at=timezone.now(), went_on=progress.add)
            self._report(done)

    def _report(self, done: Resealed) -> None:
        values = "1 sealed value" if done.total == 1 else f"{done.total:,} sealed values"
        moved = f"{done.moved:,} moved to the newest sealing key, {done.kept:,} under it already"
        self.stdout.write(f"{values}: {moved}.")
        self.stdout.flush()
        if not done.unopened:
            return
        for row in done.unopened:
            self.stderr.write(row)
        count = len(done.unopened)
        said = "1 value doesn't open" if count == 1 else f"{count:,} values don't open"
        raise CommandError(f"{said}: nothing of them was changed.", returncode=exits.REFUSED)
