"""Accounts, for staff. None is deleted: who made a key or wrote an event must stay known."""

from typing import ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from config.fragments import see_other
from projects import people
from projects.admin.base import Act, Section, StaffAdmin, Tool, View, posted, staff
from projects.admin.cells import SITE, is_number, list_url, object_link, over, project_link, said, when
from projects.admin.events import events_section
from projects.admin.forms import ConfirmForm, PasswordLinkForm, PersonForm
from projects.admin.lists import flag_filter
from projects.admin.members import role_link
from projects.models import SITE_LOG, Membership, User
from projects.querysets import Order
from projects.second_factor import has_second_factor, second_factor_of


@admin.register(User)
class PersonAdmin(StaffAdmin):
    heading = "People"
    lead = "Who may sign in. An account belongs to a person, not to a project."
    search_label = "Search by email address or name"
    searched: ClassVar = ("email", "name")
    list_filter = (flag_filter("is_active", "active"), flag_filter("is_staff", "staff"))
    list_display = ("address", "named", "standing", "signed_in", "joined")
    facts: ClassVar = ("email", "named", "standing", "password_state", "factor", "signed_in", "joined")
    # By address: the one order that has an index, and a person's only name that is unique.
    order = Order("email", descending=False)

    def at_address(self, address: str) -> User | None:
        return User.objects.filter(pk=int(address)).first() if is_number(address) else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return User.objects.all()

    def title_of(self, row: User) -> str:
        return row.label

    # Cells

    @admin.display(description="Email address")
    def address(self, person: User) -> str:
        return object_link("projects_user", str(person.pk), person.email)

    @admin.display(description="Email address")
    def email(self, person: User) -> str:
        return person.email

    @admin.display(description="Name")
    def named(self, person: User) -> str:
        return said(person.name)

    @admin.display(description="Standing")
    def standing(self, person: User) -> str:
        if not person.is_active:
            return "Deactivated"
        return "Staff" if person.is_staff else "Active"

    @admin.display(description="Password")
    def password_state(self, person: User) -> str:
        if not person.has_usable_password():
            return "None. A password link lets them set one."
        return "Must be changed at the next sign-in" if person.must_change_password else "Set"

    @admin.display(description="Second factor")
    def factor(self, person: User) -> str:
        on = second_factor_of(person)
        return over(when(on.since), f"{on.codes_left} of {on.codes} recovery codes left") if on else "None"

    @admin.display(description="Last sign-in")
    def signed_in(self, person: User) -> str:
        return when(person.last_login) if person.last_login else "Never"

    @admin.display(description="Account made")
    def joined(self, person: User) -> str:
        return when(person.date_joined)

    # What belongs to a person

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return [Tool("Add person", reverse("admin:projects_user_add"))]

    def tools(self, request: HttpRequest, row: User) -> list[Tool]:
        if not row.is_active:
            return [Tool("Reactivate", self.url("reactivate", row))]
        return [
            Tool("Edit", self.url("edit", row)),
            Tool("Make password link", self.url("link", row)),
            *self._factor_tools(row),
            Tool("Deactivate", self.url("deactivate", row), danger=True),
        ]

    def _factor_tools(self, row: User) -> list[Tool]:
        if not has_second_factor(row):
            return []
        return [Tool("Remove second factor", self.url("secondfactor", row), danger=True)]

    def sections(self, row: User) -> list[Section]:
        memberships = Membership.objects.filter(user=row).select_related("project")
        return [
            Section(
                "Projects",
                ("Project", "Role", "Since"),
                [_project_row(member) for member in memberships.order_by("-pk")[:50]],
                "A member of no project.",
                [Tool("Keys made by this person", list_url("keys_key", person=str(row.pk)))],
            ),
            events_section(SITE, SITE_LOG, "person", str(row.pk)),
        ]

    # Verbs

    def list_verbs(self) -> dict[str, View]:
        return {"add": self.add_person}

    def verbs(self) -> dict[str, View]:
        return {
            "edit": self.edit_person,
            "link": self.make_link,
            "secondfactor": self.remove_second_factor,
            "deactivate": self.deactivate,
            "reactivate": self.reactivate,
        }

    def add_person(self, request: HttpRequest) -> HttpResponse:
        act = Act(
            "Add person",
            "Add person",
            ["They get a link that sets their password. It is shown next, once."],
            sensitive=True,
        )
        form = PersonForm(posted(request))

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            person = people.create_person(**form.cleaned_data, actor=actor, at=at)
            return self._show_link(request, person, people.make_password_link(person, actor=actor, at=at))

        return self.act(request, act, form, run)

    def edit_person(self, request: HttpRequest, object_id: str) -> HttpResponse:
        person = self.get_object(request, object_id)
        act = Act(f"Edit {person.label}", "Save", sensitive=True)
        initial = {name: getattr(person, name) for name in ("email", "name", "is_staff")}
        form = PersonForm(posted(request), initial=initial)

        def run() -> HttpResponse:
            actor, at = staff(request), timezone.now()
            changed = people.edit_person(person, **form.cleaned_data, actor=actor, at=at)
            return self._done(request, changed, f"{changed.label} was saved.")

        return self.act(request, act, form, run, person)

    def make_link(self, request: HttpRequest, object_id: str) -> HttpResponse:
        person = self.get_object(request, object_id)
        lead = ["The link sets a new password for this account. It works once, for a day."]
        act = Act(f"Password link for {person.label}", "Make password link", lead, sensitive=True)
        form = PasswordLinkForm(posted(request))

        def run() -> HttpResponse:
            lock, actor = form.cleaned_data["lock"], staff(request)
            address = people.make_password_link(person, lock=lock, actor=actor, at=timezone.now())
            return self._show_link(request, person, address)

        return self.act(request, act, form, run, person)

    def remove_second_factor(self, request: HttpRequest, object_id: str) -> HttpResponse:
        person = self.get_object(request, object_id)
        lead = [
            "For somebody who lost the phone and the recovery codes: make sure that it is they who ask.",
            "Their password alone signs them in then, until they set up another. Their sessions go on.",
        ]
        title = f"Remove the second factor of {person.label}?"
        act = Act(title, "Remove second factor", lead, danger=True, sensitive=True)

        def run() -> HttpResponse:
            people.remove_second_factor(person, actor=staff(request), at=timezone.now())
            return self._done(request, person, f"{person.label} has no second factor any more.")

        return self.act(request, act, ConfirmForm(posted(request)), run, person)

    def deactivate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        person = self.get_object(request, object_id)
        lead = [
            "Their sessions end at once, and they can't sign in. Their memberships stay.",
            "The keys that they made keep working: look through them, and revoke what nobody needs.",
        ]
        act = Act(f"Deactivate {person.label}?", "Deactivate", lead, danger=True, sensitive=True)

        def run() -> HttpResponse:
            people.deactivate_person(person, actor=staff(request), at=timezone.now())
            return self._done(request, person, f"{person.label} was deactivated.")

        return self.act(request, act, ConfirmForm(posted(request)), run, person)

    def reactivate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        person = self.get_object(request, object_id)
        lead = ["They can sign in again, with the password and the memberships that they had."]
        act = Act(f"Reactivate {person.label}?", "Reactivate", lead, sensitive=True)

        def run() -> HttpResponse:
            people.reactivate_person(person, actor=staff(request), at=timezone.now())
            return self._done(request, person, f"{person.label} was reactivated.")

        return self.act(request, act, ConfirmForm(posted(request)), run, person)

    def _done(self, request: HttpRequest, person: User, message: str) -> HttpResponse:
        return see_other(request, self.url("change", person), message)

    def _show_link(self, request: HttpRequest, person: User, address: str) -> HttpResponse:
        """Show a password link, in the answer to the POST that made it and nowhere else."""
        return self.answer(request, "admin/password_link.html", {"row": person, "address": address})


def _project_row(member: Membership) -> list[str]:
    return [project_link(member.project), role_link(member), when(member.created_at)]
