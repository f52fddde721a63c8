"""What staff send about people, projects, members and scopes. Forms parse; the verbs decide."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from projects.forms import ProjectForm, QuietForm
from projects.general_forms import NewScopesForm
from projects.models import Project, Role, User


class ConfirmForm(QuietForm):
    """Nothing but the button."""


class PersonForm(QuietForm):
    email = forms.CharField(label="Email address", required=False)
    name = forms.CharField(
        label="Name", required=False, help_text="As the audit log shows it. May stay empty."
    )
    is_staff = forms.BooleanField(
        label="Staff", required=False, help_text="May use this administration, in every project."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["email"].widget.attrs.update(type="email", autocomplete="off", spellcheck="false")


class PasswordLinkForm(QuietForm):
    lock = forms.BooleanField(
        label="End the old password and every session now",
        required=False,
        help_text="Where somebody else may have the password or a signed-in browser.",
    )


def account_field(label: str) -> forms.CharField:
    field = forms.CharField(label=label, required=False, help_text="Of an account that is active.")
    field.widget.attrs.update(type="email", autocomplete="off", spellcheck="false")
    return field


def account_of(address: str) -> User:
    """Return the active account with this address. Raises ValidationError."""
    user = User.objects.filter(email=address.strip().lower(), is_active=True).first()
    if user is None:
        raise ValidationError("No active account has this address.")
    return user


class NewProjectForm(ProjectForm):
    owner = account_field("Owner's email address")

    def clean_owner(self) -> User:
        return account_of(self.cleaned_data["owner"])


class PrivateForm(QuietForm):
    """Whether provider keys may lead to private addresses: what the page that was shown would do."""

    allow = forms.CharField(required=False, widget=forms.HiddenInput)


class DeleteProjectForm(QuietForm):
    """The end of a project: its address is typed, so that it isn't another one's."""

    slug = forms.CharField(required=False)

    def __init__(self, data: Any = None, *, project: Project) -> None:
        super().__init__(data)
        self._project = project
        self.fields["slug"].label = f"Type {project.slug} to confirm"
        self.fields["slug"].widget.attrs.update(autocomplete="off", autocapitalize="off", spellcheck="false")

    def clean_slug(self) -> str:
        slug: str = self.cleaned_data["slug"]
        if slug != self._project.slug:
            raise ValidationError(f"Type {self._project.slug}, the project's address.")
        return slug


class RoleForm(QuietForm):
    role = forms.TypedChoiceField(
        label="Role",
        choices=Role.choices,
        coerce=int,
        error_messages={"required": "Choose a role.", "invalid_choice": "Choose a role."},
    )


class MemberForm(RoleForm):
    """A new member. `user` is what the verb calls whom the address belongs to."""

    field_of: Mapping[str, str] = {"user": "email"}

    project = forms.CharField(label="Project", required=False, help_text="Its address, such as acme.")
    email = account_field("Email address")
    field_order = ("project", "email", "role")

    def clean_email(self) -> User:
        return account_of(self.cleaned_data["email"])

    def clean_project(self) -> Project:
        return project_at(self.cleaned_data["project"])


def project_at(slug: str) -> Project:
    """Return the project with this address. Raises ValidationError."""
    project = Project.objects.existing().filter(slug=slug.strip()).first()
    if project is None:
        raise ValidationError("No project has this address.")
    return project


class ResourceForm(NewScopesForm):
    project = forms.CharField(label="Project", required=False, help_text="Its address, such as acme.")
    field_order = ("project", "name", "label", "actions")

    def clean_project(self) -> Project:
        return project_at(self.cleaned_data["project"])
