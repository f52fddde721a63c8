"""Forms about projects, and what every form of Keyrack shares. They parse; the verbs decide."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator

from config.redaction import holds_token


class QuietForm(forms.Form):
    """A form that never writes a token back into the page, and that takes a verb's errors."""

    # Where a verb's name for a thing isn't the field's.
    field_of: Mapping[str, str] = {}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if not isinstance(field.widget, forms.CheckboxInput | forms.HiddenInput):
                field.widget.attrs.setdefault("class", "input")

    def take(self, error: ValidationError) -> None:
        """Show a verb's errors beside the fields that they speak of."""
        by_field = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        for name, messages in by_field.items():
            field = self.field_of.get(name, name)
            for message in messages:
                self.add_error(field if field in self.fields else None, message)

    def add_error(self, field: str | None, error: Any) -> None:
        super().add_error(field, error)
        self._forget_tokens()

    def _forget_tokens(self) -> None:
        kept: Any = self.data
        kept = kept.copy()
        for name in self.fields:
            if any(holds_token(str(value)) for value in _values(kept, self.add_prefix(name))):
                kept[self.add_prefix(name)] = ""
        self.data = kept


def _values(data: Any, name: str) -> list[Any]:
    return data.getlist(name) if hasattr(data, "getlist") else [data.get(name, "")]


class CodeInput(forms.TextInput):
    """The field of a one-time code: a phone offers the code, or its digits; nothing typed is written back."""

    def __init__(self) -> None:
        super().__init__(
            {
                "autocomplete": "one-time-code",
                "inputmode": "numeric",
                "autocapitalize": "off",
                "spellcheck": "false",
            }
        )

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return super().get_context(name, None, attrs)


class CodeField(forms.CharField):
    """A code of an authenticator app, or a recovery code; blanks and hyphens in it don't matter."""

    def __init__(self, **options: Any) -> None:
        super().__init__(widget=CodeInput(), error_messages={"required": "Enter a code."}, **options)
        # Not as `max_length`: the browser would cut what is pasted, in silence.
        self.validators.append(MaxLengthValidator(40, "That code is too long."))


class ProjectForm(QuietForm):
    name = forms.CharField(
        label="Project name", required=False, help_text="The team or product whose keys it holds."
    )
    slug = forms.CharField(
        label="Address",
        required=False,
        help_text="Stands in URLs and can't be changed later. Left empty, it is made from the name.",
    )
