"""What somebody wants a provider key to be, and whether it can be that: the rules on its own values."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.crypto import get_random_string

from keys import tokens
from keys.kinds import Provider
from keys.models import ProviderKey
from keys.upstream_addresses import (
    PRESETS,
    clean_base_url,
    clean_header,
    clean_prefix,
    clean_value,
    provider_at,
)
from projects.models import Project
from projects.names import clean_name, fold

# What the value is sealed for, and so can't be changed without it.
BOUND: Final = ("base_url", "header", "prefix")
# A shorter value may be a word of a name by chance.
_NOTICED_FROM: Final = 8


@dataclass(frozen=True, slots=True)
class ProviderDraft:
    """What somebody wants a new provider key to be. `secret` is its value, which no repr shows.

    An address left empty is the provider's own; so are header and prefix, where the header is left empty.
    """

    name: str
    provider: str
    secret: str = field(repr=False)
    base_url: str = ""
    header: str = ""
    prefix: str = ""

    def filled(self) -> "ProviderDraft":
        """Return the draft with what the preset says where nothing is said."""
        preset = PRESETS[self.provider]
        prefix = self.prefix if self.header else self.prefix or preset.prefix
        base_url, header = self.base_url or preset.base_url, self.header or preset.header
        return replace(self, base_url=base_url, header=header, prefix=prefix)


@dataclass(frozen=True, slots=True)
class ProviderEdit:
    """What somebody wants to change; None leaves a value as it is, and so does an empty `secret`."""

    name: str | None = None
    base_url: str | None = None
    header: str | None = None
    prefix: str | None = None
    secret: str = field(default="", repr=False)


def drafted(project: Project, draft: ProviderDraft, at: datetime) -> ProviderKey:
    """Return an unsaved provider key, every rule checked; its value isn't sealed yet.

    Raises ValidationError with all that is wrong, by field. One query.
    """
    known = draft.provider in PRESETS
    wrong = {} if known else {"provider": ValidationError("Choose a provider.")}
    key = ProviderKey(
        project=project,
        public_id=get_random_string(tokens.KEY_ID_LENGTH, tokens.ALPHABET),
        provider=draft.provider,
        created_at=at,
    )
    _put(key, draft.filled() if known else draft, at, wrong, secret_rule=clean_value)
    return key


def edited(key: ProviderKey, changes: ProviderEdit, at: datetime) -> None:
    """Put the changes into the provider key, unsaved; a new value isn't sealed yet.

    Raises ValidationError with all that is wrong, by field: also where the base URL, the header or the
    prefix changes and the value isn't given again. One query.
    """
    columns = ("name", *BOUND)
    before = {name: getattr(key, name) for name in columns}
    given = {name: getattr(changes, name) for name in columns if getattr(changes, name) is not None}
    wanted = ProviderDraft(provider=key.provider, secret=changes.secret, **{**before, **given})

    def rule(secret: str) -> None:
        # Asked last, when the row has its new columns: an address that only differs in its spelling is none.
        moved = any(getattr(key, name) != before[name] for name in BOUND)
        if moved and not secret:
            raise ValidationError(
                "Give the value again: it is sealed for the base URL, the header and the prefix."
            )
        if secret:
            clean_value(secret)

    _put(key, wanted, at, {}, secret_rule=rule)


def refuse_taken_name(key: ProviderKey) -> None:
    """Raise ValidationError where another provider key of the project has this name. One query."""
    others = ProviderKey.objects.filter(project_id=key.project_id, name_folded=key.name_folded)
    if other := others.exclude(pk=key.pk).defer("sealed").first():
        raise ValidationError({"name": f"Another provider key is called “{other.name}”."})


def _put(
    key: ProviderKey,
    draft: ProviderDraft,
    at: datetime,
    wrong: dict[str, ValidationError],
    *,
    secret_rule: Callable[[str], object],
) -> None:
    """Write the draft's columns into the key, cleaned. Raises ValidationError with all that is wrong.

    `wrong` is what is known to be by now; without a provider nothing can be said of the address.
    """

    def gather(name: str, rule: Callable[[], str]) -> None:
        try:
            cleaned = rule()
            _refuse_value_in(cleaned, draft.secret)
        except ValidationError as error:
            wrong[name] = error
        else:
            setattr(key, name, cleaned)

    key.updated_at = at
    gather("name", lambda: _named(key, draft.name))
    if "provider" not in wrong:
        gather("base_url", lambda: _address(draft, private=key.project.private_upstreams))
        gather("header", lambda: clean_header(draft.header))
        gather("prefix", lambda: clean_prefix(draft.prefix))
    try:
        secret_rule(draft.secret)
    except ValidationError as error:
        wrong["secret"] = error
    if wrong:
        raise ValidationError(_messages(wrong))


def _messages(wrong: Mapping[str, ValidationError]) -> dict[str, list[str]]:
    return {name: error.messages for name, error in wrong.items()}


def _named(key: ProviderKey, name: str) -> str:
    """Fold the name into the key, and return it as it is written. Raises ValidationError. One query."""
    cleaned = clean_name(name)
    key.name_folded = fold(cleaned)
    refuse_taken_name(key)
    return cleaned


def value_stands_in(text: str, secret: str) -> bool:
    """Say whether the value was pasted into another field too: only in its own is it sealed."""
    return len(secret) >= _NOTICED_FROM and secret.casefold() in text.casefold()


def _refuse_value_in(text: str, secret: str) -> None:
    if value_stands_in(text, secret):
        raise ValidationError("The value stands here too, where everybody could read it: take it out.")


def _address(draft: ProviderDraft, *, private: bool) -> str:
    base_url = clean_base_url(draft.base_url, private=private)
    owner = provider_at(base_url)
    # Else a key would be sent to the wrong provider, who could use it from then on.
    if owner and draft.provider not in (owner, Provider.CUSTOM):
        whose, wanted = Provider(owner).label, Provider(draft.provider).label
        raise ValidationError(f"That is the base URL of {whose}, not of {wanted}.")
    return base_url
