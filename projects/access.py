"""The only door to a project: who may come in, and as what."""

from dataclasses import dataclass
from typing import Final

from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest

from projects.audit import Actor
from projects.models import Membership, Project, Role, User
from projects.second_factor import has_second_factor
from projects.statements import Select

_MEMBERSHIP: Final = Select(
    lambda user_pk, slug: Membership.objects.select_related("project", "user").filter(
        user_id=user_pk, project__slug=slug, project__deleted_at=None
    ),
    values=2,
)


@dataclass(frozen=True, slots=True)
class Access:
    """A person inside a project, with the role that they have there."""

    user: User
    project: Project
    role: Role

    def at_least(self, role: Role) -> bool:
        return self.role >= role

    def actor(self, request: HttpRequest) -> Actor:
        """The person as the audit log names them, with the address that they come from."""
        return Actor.person(self.user, self.role, getattr(request, "client_address", None))


class TooLow(PermissionDenied):
    """A member whose role doesn't reach; the 403 page names the project."""

    def __init__(self, project: Project) -> None:
        super().__init__(f"You can't do that in {project.name}.")
        self.project = project


class SecondFactorMissing(Exception):
    """A member without the second factor that the project requires.

    `projects.middleware` leads them to set one up.
    """

    def __init__(self, project: Project) -> None:
        super().__init__(f"{project.name} requires a second factor.")
        self.project = project


def project_for(user: User | AnonymousUser, slug: str, *, at_least: Role = Role.VIEWER) -> Access:
    """Return the person's access to the project. One query; two where it requires a second factor.

    Raises Http404 for whoever isn't a member (to them the project does not exist, and neither does
    one that was deleted), SecondFactorMissing, TooLow for a member below `at_least`.
    """
    if not isinstance(user, User):
        raise Http404
    member = _MEMBERSHIP.first(user.pk, slug)
    if member is None:
        raise Http404
    if member.project.require_second_factor and not has_second_factor(member.user):
        raise SecondFactorMissing(member.project)
    access = Access(member.user, member.project, Role(member.role))
    if not access.at_least(at_least):
        raise TooLow(access.project)
    return access
