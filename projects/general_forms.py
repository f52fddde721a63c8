"""What people send about a project as a whole: its name, its scope catalogue, its end."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, QueryDict

from projects.forms import QuietForm
from projects.models import Project, Resource
from projects.names import fold
from projects.reauthentication import FreshForm


class RenameForm(QuietForm):
    name = forms.CharField(label="Project name", required=False)


class ScopesForm(QuietForm):
    """The label and the actions of a resource."""

    label = forms.CharField(
        label="Label", required=False, help_text="As people read it, such as Billing reports."
    )
    actions = forms.CharField(
        label="Actions",
        required=False,
        help_text="With blanks between them, such as: read write delete.",
    )

    def clean_actions(self) -> list[str]:
        text: str = self.cleaned_data["actions"]
        return text.replace(",", " ").split()


class NewScopesForm(ScopesForm):
    name = forms.CharField(
        label="Resource",
        required=False,
        help_text="The first part of its scopes, such as reports. It can't be changed later.",
    )
    field_order: Sequence[str] = ("name", "label", "actions")


class EditScopesForm(ScopesForm):
    """A change of a resource, with the actions that the person saw: nobody else's change is lost unseen."""

    seen = forms.CharField(required=False, widget=forms.HiddenInput)

    def clean_seen(self) -> list[str]:
        text: str = self.cleaned_data["seen"]
        return text.split()

    def anew(self, resource: Resource) -> "EditScopesForm":
        """Return the form as it was sent, but over what the resource is by now, which it says."""
        data = QueryDict(mutable=True)
        data.update(self.data)
        data["seen"] = actions_of(resource)
        form = EditScopesForm(data)
        form.full_clean()
        form.add_error(
            None,
            f"Somebody else changed {resource.label} meanwhile. Its actions are now: {actions_of(resource)}."
            " Save again to put yours in their place.",
        )
        return form


class DeleteForm(FreshForm):
    """The end of a project: its name is typed, so that it isn't another one's."""

    name = forms.CharField(required=False)
    field_order = ("name", "current_password")

    def __init__(self, data: Any = None, *, project: Project, request: HttpRequest) -> None:
        super().__init__(data, request=request)
        self._project = project
        self.fields["name"].label = "Type the project's name to confirm"
        self.fields["name"].widget.attrs.update(autocomplete="off", autocapitalize="off", spellcheck="false")

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        # As names are compared everywhere, but for the case: who types a name reads it.
        if " ".join(fold(name).split()) != fold(self._project.name):
            raise ValidationError(f"Type {self._project.name}, the project's name.")
        return name


def actions_of(resource: Resource) -> str:
    """Return the actions as the form's field has them."""
    actions: Sequence[str] = resource.actions
    return " ".join(actions)
