"""`manage.py secondfactor`: the way back in for whoever lost the phone and the recovery codes."""

import io
from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command

from projects import people, second_factor
from projects.audit import Actor
from projects.models import SITE_LOG, AuditEvent, Role, User
from tests.authenticator import enrol
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    output = io.StringIO()
    call_command("secondfactor", *words, stdout=output)
    return output.getvalue().strip()


def last_event() -> AuditEvent:
    return AuditEvent.objects.filter(project_id=SITE_LOG).latest("number")


def test_it_says_whether_an_account_has_one(owner: User) -> None:
    assert run("mara@example.test") == "mara@example.test has no second factor."
    app = enrol(owner)
    said = run(" MARA@example.test ")
    assert said.startswith("mara@example.test has a second factor since ")
    assert said.endswith(" UTC, with 10 of 10 recovery codes left.")
    assert app.secret not in said
    assert second_factor.has_second_factor(owner)


def test_it_takes_one_away_with_an_event(owner: User) -> None:
    enrol(owner)
    assert "the password alone signs in" in run("mara@example.test", "--remove")
    assert not second_factor.has_second_factor(owner)
    event = last_event()
    assert (event.verb, event.actor_kind, event.object_id, event.object_label) == (
        "person.second_factor_removed", "system", str(owner.pk), "Mara Lindqvist",
    )  # fmt: skip


def test_it_refuses_what_is_not_there(owner: User) -> None:
    with pytest.raises(CommandError, match=r"No account has the address nobody@example\.test"):
        run("nobody@example.test", "--remove")
    with pytest.raises(CommandError, match="No account has the address a"):
        run("a\udcff")
    with pytest.raises(CommandError, match="Mara Lindqvist has no second factor"):
        run("mara@example.test", "--remove")
    with pytest.raises(CommandError):
        run()
    assert not AuditEvent.objects.filter(verb="person.second_factor_removed").exists()


def test_of_people_only_staff_take_somebody_elses_away(owner: User, admin: User, at: datetime) -> None:
    enrol(owner)
    for person in (owner, admin):
        with pytest.raises(PermissionDenied):
            people.remove_second_factor(owner, actor=Actor.person(person, Role.OWNER), at=at)
    ines = Actor.person(UserFactory(name="Ines Varga", is_staff=True), Role.OWNER)
    people.remove_second_factor(owner, actor=ines, at=at)
    assert last_event().actor_label == "Ines Varga"
    with pytest.raises(ValidationError, match="has no second factor"):
        people.remove_second_factor(owner, actor=ines, at=at)
