"""What every page may use: the projects of whoever is signed in, for the switcher."""

from functools import cache
from typing import Any, Final

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from projects.models import Project, User
from projects.statements import Select

SWITCHER_LENGTH: Final = 12
_PROJECTS: Final = Select(lambda user_pk: Project.objects.of(user_pk)[: SWITCHER_LENGTH + 1])


def switcher(request: HttpRequest) -> dict[str, Any]:
    """Return `switcher_projects` (at most 12) and `switcher_more`. One query, when either is used."""

    @cache
    def projects() -> list[Project]:
        # An error may come before anybody was asked who is there.
        user = getattr(request, "user", None)
        if not isinstance(user, User):
            return []
        return _PROJECTS.objects(user.pk)

    return {
        "switcher_projects": SimpleLazyObject(lambda: projects()[:SWITCHER_LENGTH]),
        "switcher_more": SimpleLazyObject(lambda: len(projects()) > SWITCHER_LENGTH),
    }
