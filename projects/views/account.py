"""What an account page needs before django-allauth's own."""

from allauth.account import views as allauth
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import render

from projects.models import User


def password_change(request: HttpRequest) -> HttpResponseBase:
    """The page where a password is changed; an account that has none is told how to get one.

    django-allauth would lead it to a page that sets one unasked: whoever came upon a signed-in browser could.
    """
    if isinstance(request.user, User) and not request.user.has_usable_password():
        status = 422 if request.method == "POST" else 200
        return render(request, "account/password_missing.html", status=status)
    response: HttpResponseBase = allauth.password_change(request)
    return response
