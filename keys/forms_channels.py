"""What people send about channels and their keys. Forms parse; the verbs decide."""

from typing import Any

from django import forms

from keys.drafts import Draft
from keys.forms import NewKeyForm
from keys.kinds import KeyType
from projects.forms import QuietForm
from projects.models import Channel, ChannelKind


class ChannelForm(QuietForm):
    """What a channel is called, and of which kind it is."""

    name = forms.CharField(
        label="Channel name",
        required=False,
        strip=False,
        help_text="The bot, or the place where it talks, such as Support bot.",
    )
    kind = forms.ChoiceField(
        label="Kind",
        choices=ChannelKind.choices,
        error_messages={
            "required": "Choose a kind of channel.",
            "invalid_choice": "Choose a kind of channel.",
        },
    )


class EditChannelForm(ChannelForm):
    """A change of a channel as the person saw it."""

    version = forms.IntegerField(widget=forms.HiddenInput, error_messages={
        "required": "Open this form anew: it was sent without its number.",
        "invalid": "Open this form anew: its number was changed.",
    })  # fmt: skip

    def overtake(self, channel: Channel, message: str) -> None:
        """Say that the channel is another by now; sent again, the form replaces what it has become."""
        data: Any = self.data
        data = data.copy()
        data["version"] = str(channel.version)
        self.data = data
        self.add_error(None, f"{message} Save again to put yours in its place.")


class ChannelKeyForm(NewKeyForm):
    """A new key of a channel. What it may do is the channel's: there are no scopes to pick."""

    holder = forms.CharField(
        label="Who holds it",
        required=False,
        strip=False,
        help_text="A person, a team or a customer. Each holds one key of a channel.",
    )
    field_order = ("nonce", "name", "holder", "lifetime", "until", "environment")

    def draft(self, channel: Channel) -> Draft:
        """Return what the valid form asks for."""
        data = self.cleaned_data
        return Draft(
            name=data["name"],
            type=KeyType.CHANNEL,
            environment=data["environment"],
            expires_at=self.expires_at(),
            channel=channel.slug,
            holder=data["holder"],
        )
