"""Every URL: the account pages here, the rest in its own application."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from allauth.account import views as account
from allauth.account.decorators import secure_admin_login
from allauth.mfa.base import views as mfa
from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from projects.views.account import password_change
from projects.views.second_factor import sign_in_code

View = Callable[..., HttpResponseBase]


def refused_with_422(view: View) -> View:
    """Let an account page answer 422 where its form was refused; django-allauth says 200."""

    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        form = (getattr(response, "context_data", None) or {}).get("form")
        if response.status_code == HTTPStatus.OK and form is not None and form.errors:
            response.status_code = HTTPStatus.UNPROCESSABLE_ENTITY
        return response

    return answer


# One door: the admin sends people to the console's sign-in, with its throttle and its log.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_title = admin.site.site_header = "Keyrack"

# Of django-allauth only what Keyrack uses: there is no sign-up, and a forgotten password is reset by
# a link that `manage.py passwordlink` prints. A second factor is set up on pages of our own, in
# projects/urls.py: django-allauth's write when they are only looked at.
account_urls = [
    path("login/", refused_with_422(account.login), name="account_login"),
    path("login/code/", refused_with_422(sign_in_code), name="mfa_authenticate"),
    path("logout/", account.logout, name="account_logout"),
    path(
        "password/change/",
        refused_with_422(password_change),
        name="account_change_password",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        refused_with_422(account.password_reset_from_key),
        name="account_reset_password_from_key",
    ),
    path(
        "password/reset/key/done/",
        account.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    path("reauthenticate/", refused_with_422(account.reauthenticate), name="account_reauthenticate"),
    path("reauthenticate/code/", refused_with_422(mfa.reauthenticate), name="mfa_reauthenticate"),
]

urlpatterns = [
    path("account/", include(account_urls)),
    # The admin's own form would neither end the duty to change an invented password nor be audited.
    path("admin/password_change/", RedirectView.as_view(pattern_name="account_change_password")),
    path("admin/", admin.site.urls),
    path("", include("projects.urls")),
    path("", include("keys.urls")),
]

handler400 = "config.errors.bad_request"
handler403 = "config.errors.permission_denied"
handler404 = "config.errors.page_not_found"
handler429 = "config.errors.too_many_requests"
handler500 = "config.errors.server_error"
