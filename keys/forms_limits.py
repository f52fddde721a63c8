"""The limits of a key as a form asks for them: allowed networks, and a rate."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from django import forms

from keys import rates
from keys.models import Key
from projects.forms import QuietForm

_SEPARATORS: Final = re.compile(r"[\s,;]+")
_NUMBER: Final = f"Enter a whole number from 1 to {rates.MOST:,}."


class LimitsForm(QuietForm):
    """Where a key may be used from, and how often. Nothing is no limit."""

    field_of: Mapping[str, str] = {"rate": "rate_count"}

    networks = forms.CharField(
        label="Allowed networks",
        required=False,
        widget=forms.Textarea(
            attrs={"rows": 2, "spellcheck": "false", "autocapitalize": "off", "autocomplete": "off"}
        ),
        help_text="One on a line, such as 192.0.2.0/24 or 2001:db8::/32. Empty: from anywhere.",
    )
    rate_count = forms.IntegerField(
        label="Rate limit",
        required=False,
        min_value=1,
        max_value=rates.MOST,
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
        help_text="Empty: as often as it likes.",
        error_messages={"invalid": _NUMBER, "min_value": _NUMBER, "max_value": _NUMBER},
    )
    rate_per = forms.ChoiceField(
        label="Uses per",
        required=False,
        choices=[(unit, unit) for unit in rates.SECONDS],
        initial="minute",
        error_messages={"invalid_choice": "Choose second, minute, hour or day."},
    )

    def networks_typed(self) -> list[str]:
        """Return the networks as they stand in the form, each by itself; the verb says what is none."""
        return split(self["networks"].value())

    def rate_typed(self) -> str:
        """Return the rate as it stands in the form, such as `100/minute`; "" for none."""
        count = self["rate_count"].value()
        return f"{count}/{self['rate_per'].value() or 'minute'}" if count else ""

    def limited(self) -> bool:
        """Say whether there is anything to see in the limits: they are unfolded then."""
        wrong = any(self[name].errors for name in ("networks", "rate_count", "rate_per"))
        return wrong or bool(self.networks_typed() or self.rate_typed())

    def networks_wanted(self) -> Sequence[str]:
        """Return the networks of a valid form."""
        return split(self.cleaned_data["networks"])

    def rate_wanted(self) -> str:
        """Return the rate of a valid form; "" for none."""
        count: int | None = self.cleaned_data["rate_count"]
        return f"{count}/{self.cleaned_data['rate_per'] or 'minute'}" if count else ""


def split(text: Any) -> list[str]:
    """Return the networks in a text: by line, blank, comma or semicolon."""
    return [part for part in _SEPARATORS.split(text or "") if part]


def initial(key: Key) -> dict[str, Any]:
    """Return what the form shows of a key's limits."""
    rate = rates.parse(key.rate)
    shown: dict[str, Any] = {"networks": "\n".join(key.networks.split())}
    return shown | ({"rate_count": rate.count, "rate_per": rate.per} if rate else {})
