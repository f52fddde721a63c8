"""The forms of the account pages: django-allauth's, with Keyrack's words."""

from typing import Any

from allauth.account import forms as allauth
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm, ReauthenticateForm
from allauth.mfa.models import Authenticator
from django import forms

from projects.forms import CodeField, QuietForm
from projects.models import User
from projects.reauthentication import FreshForm, try_code


class SignInForm(QuietForm, allauth.LoginForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _word(self, "login", "Email address", "Enter your email address.")
        _word(self, "password", "Password", "Enter your password.")
        # What allauth offers is for the address of a contact; this one is the name of the account.
        self.fields["login"].widget.attrs["autocomplete"] = "username"


class ChangePasswordForm(allauth.ChangePasswordForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _word(self, "oldpassword", "Current password", "Enter your current password.")
        _word_new_password(self)


class NewPasswordForm(allauth.ResetPasswordKeyForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _word_new_password(self)


class ConfirmPasswordForm(allauth.ReauthenticateForm):  # type: ignore[misc]
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _word(self, "password", "Password", "Enter your password.")


class _CodeForm(QuietForm):
    """A code of the second factor. django-allauth's own check takes one again half a minute later."""

    code = CodeField(label="Code", help_text="From your authenticator app, or one of your recovery codes.")

    user: User
    authenticator: Authenticator

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        self.authenticator = try_code(context.request, self.user, code)
        self.authenticator.user = self.user
        return code


class SignInCodeForm(_CodeForm, AuthenticateForm):  # type: ignore[misc]
    """The second step of a sign-in."""


class ConfirmCodeForm(_CodeForm, ReauthenticateForm):  # type: ignore[misc]
    """A code again, on the page that staff are led to."""


class SetUpForm(FreshForm):
    """The beginning of a second factor: nothing but the password, where it is asked for."""


class FirstCodeForm(FreshForm):
    """The first code of an authenticator app: it shows that the app has the secret."""

    code = CodeField(label="Code", help_text="6 digits, which the app shows for half a minute.")
    field_order = ("code", "current_password")


def _word_new_password(form: forms.Form) -> None:
    hint = "10 characters or more, and none that everybody uses."
    _word(form, "password1", "New password", "Enter a new password.", hint)
    _word(form, "password2", "New password again", "Enter the new password again.")


def _word(form: forms.Form, name: str, label: str, missing: str, hint: str = "") -> None:
    field = form.fields[name]
    field.label, field.help_text = label, hint
    field.error_messages["required"] = missing
    # A placeholder is gone as soon as somebody types: the label stays.
    field.widget.attrs.pop("placeholder", None)
    field.widget.attrs["class"] = "input"
