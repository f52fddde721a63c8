"""The administration for staff: people, projects, who belongs to them, scopes and the audit log."""

# They register pages of their own. They are imported first, so that these can be taken away again.
import allauth.account.admin
import allauth.mfa.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin
from django.contrib.auth.models import Group

from projects.admin import events, invitations, members, people, projects, scopes

__all__ = ["events", "invitations", "members", "people", "projects", "scopes"]

# Whoever is staff may do all that staff may: there are no groups. An account has the one address that it
# signs in with. What a second factor is made of is nobody's to look at: staff remove one under People.
admin.site.unregister([Group, EmailAddress, Authenticator])
