"""The administration for staff: people, projects, who belongs to them, scopes and the audit log."""

# Both register pages of their own. They are imported first, so that these can be taken away again.
import allauth.account.admin  # noqa: F401
import django.contrib.auth.admin  # noqa: F401
from allauth.account.models import EmailAddress
from django.contrib import admin
from django.contrib.auth.models import Group

from projects.admin import events, invitations, members, people, projects, scopes

__all__ = ["events", "invitations", "members", "people", "projects", "scopes"]

# Whoever is staff may do all that staff may: there are no groups. An account has the one address that it
# signs in with.
admin.site.unregister([Group, EmailAddress])
