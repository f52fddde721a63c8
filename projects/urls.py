from django.urls import path, register_converter
from django.urls.converters import StringConverter

from projects.views import audit, general, projects


class ResourceName(StringConverter):
    """The name of a resource of a scope catalogue, and nothing else."""

    regex = "[a-z][a-z0-9-]{0,39}"


register_converter(ResourceName, "resource")

settings = "projects/<slug:slug>/settings/"
resource = f"{settings}general/scopes/<resource:resource>/"

urlpatterns = [
    path("", projects.home, name="home"),
    path("projects/", projects.project_list, name="project_list"),
    path("projects/new/", projects.project_create, name="project_create"),
    path(f"{settings}general/", general.project_general, name="project_general"),
    path(f"{settings}general/rename/", general.project_rename, name="project_rename"),
    path(f"{settings}general/delete/", general.project_delete, name="project_delete"),
    path(f"{settings}general/scopes/new/", general.resource_create, name="resource_create"),
    path(f"{resource}edit/", general.resource_edit, name="resource_edit"),
    path(f"{resource}remove/", general.resource_remove, name="resource_remove"),
    path(f"{settings}audit/", audit.audit_log, name="audit_log"),
    path(f"{settings}audit/filter/", audit.audit_filter, name="audit_filter"),
    path(f"{settings}audit/csv/", audit.audit_csv, name="audit_csv"),
]
