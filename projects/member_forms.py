"""What people send about members and invitations. Forms parse; the verbs decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django import forms

from projects.forms import QuietForm
from projects.models import Role
from projects.reauthentication import FreshForm

ROLE_HINTS: Final = {
    Role.VIEWER: "Sees keys, their activity and the audit log. Changes nothing.",
    Role.OPERATOR: "Issues keys but privileged ones, edits their own, pauses and revokes any.",
    Role.ADMIN: "Does that for everybody's keys and for privileged ones, and the rest of the settings.",
    Role.OWNER: "Everything, members and the project itself too.",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """A radio card of a role."""

    value: int
    label: str
    hint: str
    checked: bool


class RolePicker(FreshForm):
    """A form in which a role is chosen."""

    role = forms.TypedChoiceField(
        label="Role",
        choices=Role.choices,
        coerce=int,
        error_messages={"required": "Choose a role.", "invalid_choice": "Choose a role."},
    )

    def roles(self) -> list[Choice]:
        chosen = str(self["role"].value())
        return [Choice(role.value, role.label, ROLE_HINTS[role], str(role.value) == chosen) for role in Role]


class InviteForm(RolePicker):
    email = forms.CharField(
        label="Email address",
        required=False,
        help_text="The link works for this address alone.",
        widget=forms.EmailInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    field_order = ("email", "role")


class RoleForm(RolePicker):
    """Another role, for the member as the person saw them."""

    was = forms.TypedChoiceField(
        choices=Role.choices,
        coerce=int,
        widget=forms.HiddenInput,
        error_messages={
            "required": "Open this form anew: it was sent without its number.",
            "invalid_choice": "Open this form anew: its number was changed.",
        },
    )


class RemoveForm(FreshForm):
    """Nothing but the button, and the password where it is asked for."""


class NewLinkForm(FreshForm):
    """Another link, for the invitation as the person saw it."""

    version = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        widget=forms.HiddenInput,
        error_messages={
            "required": "Open this form anew: it was sent without its number.",
            "invalid": "Open this form anew: its number was changed.",
            "min_value": "Open this form anew: its number was changed.",
            "max_value": "Open this form anew: its number was changed.",
        },
    )


class ConfirmForm(QuietForm):
    """Nothing but the button."""


class JoinForm(QuietForm):
    """A new account, for whoever is invited."""

    field_of: Mapping[str, str] = {"password": "password1"}

    name = forms.CharField(
        label="Your name",
        help_text="As your team knows you. It stands beside what you do.",
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
        error_messages={"required": "Enter your name."},
    )
    password1 = forms.CharField(
        label="Password",
        strip=False,
        help_text="10 characters or more, and none that everybody uses.",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Enter a password."},
    )
    password2 = forms.CharField(
        label="Password again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        error_messages={"required": "Enter the password again."},
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if {"password1", "password2"} <= data.keys() and data["password1"] != data["password2"]:
            self.add_error("password2", "Type the same password twice.")
        return data
