"""`manage.py keys`: the verbs on keys, for whoever works on the machine. Every rule is the verb's."""

import argparse
import io
import json
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.utils import timezone

from keys import lifecycle
from keys.answers import problem_of
from keys.descriptions import described, identity
from keys.drafts import Draft
from keys.kinds import GRACES, Environment, KeyType
from keys.lifecycle import Issued
from keys.management.commands._keys import arguments, exits, listings, revocations, streams
from keys.management.commands._keys.actors import whoever_runs as _actor
from keys.management.commands._keys.facts import COLUMNS, columns
from keys.management.commands._keys.tables import Progress, Table
from keys.models import Key
from keys.verification import Outcome, Verdict, check
from projects.models import Project
from projects.moments import Moment

_EXPLANATION: Final = f"""\
Issue, list, edit, renew, rotate, pause, resume, revoke and check keys, as whoever has this machine: nobody's
role stands in the way, and the audit log says “command line” with the name of the system's user.

  keys list acme --q crawler --status expired
  TOKEN=$(manage.py keys issue acme "Docs crawler" --scope sources:read --expires-in 30d)
  TOKEN=$(manage.py keys issue acme "Release agent" --type agent)
  keys issue acme "Teams, ward 3" --type channel --channel support --holder "Ward 3"
  keys edit acme 7Fq2aB3dE5gH --network 192.0.2.0/24 --rate 100/minute
  keys renew acme --automator
  TOKEN=$(manage.py keys rotate acme 7Fq2aB3dE5gH --grace 7d)
  keys revoke acme 7Fq2aB3dE5gH --reason "Laptop stolen"
  printf %s "$TOKEN" | manage.py keys check --project acme --scope sources:read
  printf %s "$TOKEN" | manage.py keys check --project acme --channel support

A token never stands in an argument: `check` reads it from standard input; `issue`, `renew` and `rotate` write
it to standard output and all else to standard error. `keys VERB --help` lists what a verb takes.

{exits.table()}

With several keys `revoke` goes on past those that it can't revoke, and ends with the lowest of their codes.
"""


class Command(BaseCommand):
    help = _EXPLANATION
    # Scripts ask in loops, and Django's checks of the settings take longer than an answer.
    requires_system_checks = ()

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        # The explanation has lines of its own.
        kwargs["formatter_class"] = argparse.RawDescriptionHelpFormatter
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        arguments.add(parser)

    def run_from_argv(self, argv: list[str]) -> None:
        if sys.stderr is None:
            # `2>&-`: what people want to know is lost, the token and the exit code are not.
            self.stderr = OutputWrapper(io.StringIO())
        if sys.stdout is None:
            self.stderr.write("Standard output is closed: a token would be lost.")
            sys.exit(exits.MISUSED)
        streams.tolerate_any_name()
        super().run_from_argv(argv)

    def handle(self, *args: Any, **options: Any) -> None:
        verbs = {
            "list": self._list,
            "issue": self._issue,
            "edit": self._edit,
            "renew": self._renew,
            "rotate": self._rotate,
            "pause": self._pause,
            "resume": self._resume,
            "revoke": self._revoke,
            "check": self._check,
        }
        with exits.translated():
            try:
                verbs[options["verb"]](SimpleNamespace(**options))
            finally:
                self.stdout.flush()

    def _list(self, asked: Any) -> None:
        at, project = timezone.now(), _project(asked.project)
        catalogue, table, count = project.scopes(), Table(COLUMNS), 0
        progress, more = self._progress("keys"), False
        for shown in listings.pages(project, asked, at):
            lines: Iterable[str]
            if asked.json:
                lines = (json.dumps(described(key, catalogue, at)) for key in shown.rows)
            else:
                lines = table.lines([columns(key, at) for key in shown.rows])
            self._print(*lines)
            progress.add(len(shown.rows))
            count, more = count + len(shown.rows), shown.has_next
        if more:
            self._say(f"The first {count:,}; --all lists the rest.")
        if not count:
            self._say("No keys match.")

    def _issue(self, asked: Any) -> None:
        at, project = timezone.now(), _project(asked.project)
        draft = Draft(
            name=asked.name,
            type=KeyType(asked.type),
            scopes=tuple(asked.scope),
            environment=Environment(asked.environment),
            expires_at=arguments.expiry(asked, at),
            note=asked.note,
            channel=asked.channel or "",
            holder=asked.holder,
            networks=tuple(asked.network),
            rate=asked.rate or "",
        )
        catalogue = project.scopes()
        issued = lifecycle.issue(
            project, draft, actor=_actor(), at=at, nonce=asked.idempotency_key or "", confirmed=True
        )
        self._hand_over(
            issued, "was issued", dict(described(issued.key, catalogue, at)) if asked.json else None
        )

    def _edit(self, asked: Any) -> None:
        at, project = timezone.now(), _project(asked.project)
        changes, key = arguments.changes(asked, at), _key(project, asked)
        version = asked.version or key.version
        key = lifecycle.edit(project, key.key_id, changes, actor=_actor(), at=at, version=version)
        members = described(key, project.scopes(), at)
        self._print(json.dumps(members) if asked.json else f"{key.name} ({key.key_id}) was saved.")

    def _renew(self, asked: Any) -> None:
        at, project = timezone.now(), _project(asked.project)
        key, catalogue = _key(project, asked), project.scopes()
        issued = lifecycle.renew(
            project, key.key_id, actor=_actor(), at=at, version=key.version, confirmed=True
        )
        said = "has a new secret; the old one has stopped"
        self._hand_over(issued, said, dict(described(issued.key, catalogue, at)) if asked.json else None)

    def _rotate(self, asked: Any) -> None:
        at, project = timezone.now(), _project(asked.project)
        old, catalogue = _key(project, asked), project.scopes()
        issued = lifecycle.rotate(
            project, old.key_id, grace=GRACES[asked.grace], actor=_actor(), at=at, confirmed=True
        )
        said = f"takes the place of {old.key_id}, {_leaving(Key.objects.get(pk=old.pk), at)}"
        self._hand_over(issued, said, dict(described(issued.key, catalogue, at)) if asked.json else None)

    def _pause(self, asked: Any) -> None:
        self._switch(asked, lifecycle.pause, "is paused")

    def _resume(self, asked: Any) -> None:
        self._switch(asked, lifecycle.resume, "isn't paused")

    def _switch(self, asked: Any, verb: Callable[..., Key], said: str) -> None:
        at, project = timezone.now(), _project(asked.project)
        key = verb(project, _key(project, asked).key_id, actor=_actor(), at=at)
        members = described(key, project.scopes(), at)
        self._print(json.dumps(members) if asked.json else f"{key.name} ({key.key_id}) {said}.")

    def _hand_over(self, issued: Issued, said: str, members: dict[str, Any] | None) -> None:
        """Write the token, or its JSON, to standard output alone; what people want to know goes beside it."""
        key = issued.key
        token = issued.token if members is None else json.dumps({**members, "token": issued.token})
        try:
            self._print(token)
            self.stdout.flush()
        except OSError as error:
            streams.drop_output()
            again = "Renew it again." if key.is_protected else "Revoke it and issue another."
            raise CommandError(
                f"{key.name} ({key.key_id}) {said}, but its token can't be written ({error.strerror}):"
                f" nobody has it. {again}",
                returncode=exits.LOST,
            ) from None
        if members is None:
            end = "never expires" if key.never_expires else f"expires {Moment.of(key.expires_at).text}"
            self._say(f"{key.name} ({key.key_id}) {said}. It {end}. Its token is shown only this once.")

    def _revoke(self, asked: Any) -> None:
        project, actor, failures = _project(asked.project), _actor(), []
        key_ids = list(dict.fromkeys(asked.key_ids))
        if streams.on_terminal() and not asked.yes and not self._confirmed(project, key_ids):
            raise CommandError("Nothing was revoked.", returncode=exits.REFUSED)
        catalogue, progress = project.scopes(), self._progress("keys", len(key_ids))
        for key_id in key_ids:
            ended = revocations.revoke(project, key_id, actor, asked.reason)
            if ended.code:
                failures.append(ended)
            self._tell(ended, catalogue, as_json=asked.json)
            progress.add()
        if failures:
            text = "\n".join(failure.text for failure in failures)
            raise CommandError(text, returncode=min(failure.code for failure in failures))

    def _confirmed(self, project: Project, key_ids: list[str]) -> bool:
        self.stderr.write(revocations.question(project, key_ids, self._say), str, ending="")
        self.stderr.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _tell(self, ended: revocations.Revocation, catalogue: list[str], *, as_json: bool) -> None:
        # A reader who is gone (`| head`) must not keep the other keys alive.
        with suppress(OSError):
            if as_json:
                members = dict(described(ended.key, catalogue, timezone.now())) if ended.key else {}
                self._print(json.dumps({"outcome": ended.outcome, "key_id": ended.key_id, **members}))
            elif not ended.code:
                self._print(ended.text)
            self.stdout.flush()

    def _check(self, asked: Any) -> None:
        if asked.project is not None:
            project = _project(asked.project)
            if asked.channel:
                listings.channel_of(project, asked.channel)
        token, at = streams.presented(), timezone.now()
        environment = None if asked.environment == arguments.ANY else asked.environment
        verdict = check(
            token,
            at=at,
            project=asked.project,
            scopes=asked.scope,
            environment=environment,
            channel=asked.channel or "",
            # Nobody uses the key here, so nothing of its rate is used up.
            counted=False,
            throttled=False,
        )
        self._print(*_verdict_lines(verdict, as_json=asked.json))
        if not verdict.is_valid:
            detail = problem_of(verdict).detail if token else "There is no token on standard input."
            text = f"{detail} ({verdict.missing})" if verdict.missing else detail
            raise CommandError(text, returncode=exits.VERDICTS[verdict.outcome])

    def _print(self, *lines: str) -> None:
        for line in lines:
            self.stdout.write(line)

    def _say(self, text: str) -> None:
        """Write a line for people to standard error; it is no error, so it isn't red."""
        with suppress(OSError):
            self.stderr.write(text, str)

    def _progress(self, what: str, total: int | None = None) -> Progress:
        # On a terminal the lines themselves show how far it is.
        return Progress((lambda _: None) if self.stdout.isatty() else self._say, what, total)


def _verdict_lines(verdict: Verdict, *, as_json: bool) -> list[str]:
    members = dict(identity(verdict.facts)) if verdict.facts else {}
    if verdict.outcome is Outcome.SCOPE_MISSING:
        members["missing"] = verdict.missing
    if as_json:
        return [json.dumps({"verdict": verdict.outcome, **members})]
    if members.get("channel", "") is None:
        del members["channel"]
    return [verdict.outcome.value, *(f"{name + ':':<13}{_shown(value)}" for name, value in members.items())]


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return "never" if value is None else str(value)


def _leaving(old: Key, at: datetime) -> str:
    if old.revoked_at is None or old.is_revoked(at):
        return "which has stopped"
    return f"which works until {Moment.of(old.revoked_at).text}"


def _project(slug: str) -> Project:
    """Return the project, unless it was deleted. Raises CommandError."""
    project = Project.objects.existing().filter(slug=slug).first()
    if project is None:
        raise CommandError(f"There is no project “{slug}”.", returncode=exits.REFUSED)
    return project


def _key(project: Project, asked: Any) -> Key:
    """Return the key that is asked for, as it is now. Raises CommandError."""
    automator = getattr(asked, "automator", False)
    wanted = {"type": KeyType.SYSTEM} if automator else {"key_id": asked.key_id}
    key = Key.objects.of(project).filter(**wanted).first()
    if key is None:
        raise CommandError(f"There is no key “{asked.key_id}” in {project.slug}.", returncode=exits.REFUSED)
    return key
