"""What people send about provider keys and upstreams. Forms parse; the verbs in `keys.providers` decide."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms
from django.http import HttpRequest

from config.redaction import holds_token
from keys.kinds import Provider
from keys.models import ProviderKey
from keys.provider_drafts import ProviderDraft, ProviderEdit, value_stands_in
from keys.upstream_addresses import PRESETS
from projects.forms import QuietForm
from projects.reauthentication import FreshForm

Options = Sequence[tuple[str, str]]

_OPEN_ANEW: Final = {
    "required": "Open this form anew: it was sent without its number.",
    "invalid": "Open this form anew: its number was changed.",
}
# Nothing to check the spelling of, and no capital that nobody typed.
_AS_TYPED: Final = {"autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}
# The page empties the field when it is left (data-secret), without asking (data-stored). A browser would fill
# in somebody's password where `autocomplete` says anything else.
_SECRET: Final = {
    "autocomplete": "new-password", "spellcheck": "false", "data-secret": True, "data-stored": True,
}  # fmt: skip


class _AddressForm(FreshForm):
    """What a new provider key and an edited one are both asked for. The value is never written back.

    Nor is it kept while the password is asked for: that stands in the same form. Whoever mistypes it pastes
    the value once more.
    """

    name = forms.CharField(
        label="Name", required=False, strip=False, help_text="Whose key it is, or what it is for."
    )
    secret = forms.CharField(
        label="Value",
        required=False,
        strip=False,
        widget=forms.PasswordInput(attrs=_SECRET),
        help_text="Stored encrypted. You can replace it, not read it back.",
    )
    base_url = forms.CharField(
        label="Base URL",
        required=False,
        widget=forms.TextInput(attrs={**_AS_TYPED, "inputmode": "url"}),
        help_text="Where requests go, such as https://api.example.com/v1.",
    )
    header = forms.CharField(label="Header", required=False, widget=forms.TextInput(attrs=_AS_TYPED))
    # Form's own `prefix` stays None: the fields are taken out of the class before they could hide it.
    prefix = forms.CharField(  # type: ignore[assignment]
        label="Prefix", required=False, widget=forms.TextInput(attrs=_AS_TYPED)
    )

    ADDRESS: Final = ("base_url", "header", "prefix")
    # The password is asked for at the end, and the summary of errors keeps to that order.
    field_order: Sequence[str] = ("name", "provider", "secret", *ADDRESS)

    def __init__(self, data: Any = None, *, request: HttpRequest, **given: Any) -> None:
        # Kept from before a form forgets what looks like a key.
        self._secret: str = data.get("secret", "") if data else ""
        super().__init__(data, request=request, **given)
        if "current_password" in self.fields:
            # A new password beside the current one looks like a change of it: a browser would offer to keep
            # the value as the person's password.
            self.fields["secret"].widget.attrs["autocomplete"] = "off"

    @property
    def retyped(self) -> bool:
        """Whether a value was sent that has to be given again, because something else is wrong."""
        return bool(self.errors and self._secret and "secret" not in self.errors)

    @property
    def is_address_wrong(self) -> bool:
        return any(name in self.errors for name in self.ADDRESS)

    def _forget_tokens(self) -> None:
        super()._forget_tokens()
        kept: Any = self.data
        for name in self.fields:
            if name != "secret" and value_stands_in(kept.get(name, ""), self._secret):
                kept[name] = ""


class ProviderKeyForm(_AddressForm):
    """A new provider key. An address and a header left empty are the provider's own."""

    provider = forms.ChoiceField(
        label="Provider",
        required=False,
        choices=[("", "Choose a provider"), *Provider.choices],
        error_messages={"invalid_choice": "Choose a provider."},
    )

    def __init__(self, data: Any = None, *, request: HttpRequest, provider: str = "") -> None:
        preset = PRESETS.get(provider)
        filled = {name: getattr(preset, name) for name in self.ADDRESS} if preset else {}
        initial = {"provider": provider, **filled} if preset else None
        super().__init__(data, request=request, initial=initial)

    @property
    def is_address_asked(self) -> bool:
        """Whether the address must be typed: the provider that is chosen has none of its own."""
        preset = PRESETS.get(self["provider"].value() or "")
        return preset is not None and not preset.base_url

    def draft(self) -> ProviderDraft:
        """Return what the valid form asks for."""
        return ProviderDraft(**self.cleaned_data)


class ProviderEditForm(_AddressForm):
    """A provider key as the person saw it, and what they make of it."""

    version = forms.IntegerField(widget=forms.HiddenInput, error_messages=_OPEN_ANEW)

    def __init__(self, data: Any = None, *, request: HttpRequest, key: ProviderKey) -> None:
        shown = ("name", *self.ADDRESS, "version")
        super().__init__(data, request=request, initial={name: getattr(key, name) for name in shown})
        self.fields["secret"].label = "New value"
        self.fields["secret"].help_text = (
            "Stored encrypted. Left empty, the value stays; with another base URL, header or prefix it is"
            " needed again."
        )

    @property
    def is_address_asked(self) -> bool:
        """Whether the address stands in sight: it is what was changed."""
        return self.is_bound and bool(set(self.changed_data) & set(self.ADDRESS))

    def changes(self) -> ProviderEdit:
        """Return what the valid form asks for."""
        return ProviderEdit(**{name: value for name, value in self.cleaned_data.items() if name != "version"})


class DeleteForm(FreshForm):
    """Nothing but the button, and the password where it is asked for."""


class _SelectingForm(FreshForm):
    """One of the project's provider keys, or none."""

    none = "None"
    provider_key = forms.ChoiceField(
        label="Provider key",
        required=False,
        error_messages={"invalid_choice": "There is no such provider key here."},
    )

    def __init__(
        self,
        data: Any = None,
        *,
        request: HttpRequest,
        options: Options,
        initial: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(data, request=request, initial=initial)
        self.options = options
        field = self.fields["provider_key"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", self.none), *options]


class UpstreamForm(_SelectingForm):
    """A new upstream, with one of the project's provider keys or none."""

    none = "None yet"
    slug = forms.CharField(
        label="Name",
        required=False,
        widget=forms.TextInput(attrs=_AS_TYPED),
        help_text="As your gateway asks for it, such as openai or gpt-5. It can't be changed later.",
    )
    field_order = ("slug", "provider_key")


class SelectForm(_SelectingForm):
    """Another provider key for an upstream, as the person saw it."""

    version = forms.IntegerField(widget=forms.HiddenInput, error_messages=_OPEN_ANEW)
    field_order = ("provider_key", "version")

    @property
    def must_ask(self) -> bool:
        """Whether only the password is missing, which the select of a row doesn't ask for."""
        return self.errors.keys() == {"current_password"} and "current_password" not in self.data

    def asking(self) -> "SelectForm":
        """Return the form over what was selected. Nothing is wrong with it yet; it asks for the password."""
        form = SelectForm(request=self._request, options=self.options, initial=self.cleaned_data)
        form.fields["current_password"].widget.attrs |= {"autofocus": True, "data-autofocus": True}
        return form


def _refuse_token(term: str) -> None:
    """Refuse a key as a search term: `keys.listing_providers.search_query` takes it out before."""
    if holds_token(term):
        raise forms.ValidationError("Search for a provider key by its name.")


class ProviderListForm(QuietForm):
    """What the address of the page says: the search, and the place in both tables."""

    q = forms.CharField(required=False, max_length=200, validators=[_refuse_token])
    none = forms.BooleanField(required=False)
    after = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    before = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    uafter = forms.RegexField(r"^[a-z0-9][a-z0-9.-]{0,59}\Z", required=False)
    ubefore = forms.RegexField(r"^[a-z0-9][a-z0-9.-]{0,59}\Z", required=False)

    def values(self) -> dict[str, str]:
        """Return what is given, without blanks; nothing of a form that isn't valid."""
        if not self.is_valid():
            return {}
        return {name: "1" if value is True else value for name, value in self.cleaned_data.items() if value}
