"""The tables of people, projects, who belongs to which or is invited, channels and the audit log."""

from projects.models.channels import Channel, ChannelKind
from projects.models.invitations import Invitation, Standing
from projects.models.log import SITE_LOG, AuditChain, AuditEvent
from projects.models.people import Role, User
from projects.models.projects import FIRST_CATALOGUE, SLUG_LENGTH, Membership, Project, Resource

__all__ = [
    "FIRST_CATALOGUE",
    "SITE_LOG",
    "SLUG_LENGTH",
    "AuditChain",
    "AuditEvent",
    "Channel",
    "ChannelKind",
    "Invitation",
    "Membership",
    "Project",
    "Resource",
    "Role",
    "Standing",
    "User",
]
