"""The tab of agent keys: its list, its search, and the form of a new one."""

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from keys.forms import AgentForm
from keys.listing import AGENT_KEYS
from keys.views import pages
from keys.views.pages import GetOrPost
from projects.access import project_for
from projects.models import Role


@require_safe
def agent_list(request: HttpRequest, slug: str) -> HttpResponse:
    return pages.listed(request, project_for(request.user, slug), AGENT_KEYS)


@require_POST
def agent_search(request: HttpRequest, slug: str) -> HttpResponse:
    return pages.searched(request, project_for(request.user, slug), AGENT_KEYS)


@GetOrPost
@never_cache
def agent_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    at = timezone.now()
    form = AgentForm(pages.posted(request), role=access.role, catalogue=access.project.catalogue(), at=at)
    return pages.created(request, access, AGENT_KEYS, "keys/agent_create.html", form, at)
