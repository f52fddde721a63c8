from django.urls import path, register_converter
from django.urls.converters import StringConverter

from projects.views import audit, general, invitations, projects, requirement, second_factor


class ResourceName(StringConverter):
    """The name of a resource of a scope catalogue, and nothing else."""

    regex = "[a-z][a-z0-9-]{0,39}"


register_converter(ResourceName, "resource")

settings = "projects/<slug:slug>/settings/"
resource = f"{settings}general/scopes/<resource:resource>/"
factor = "account/second-factor/"

urlpatterns = [
    path("", projects.home, name="home"),
    path("projects/", projects.project_list, name="project_list"),
    path("projects/new/", projects.project_create, name="project_create"),
    # Any text: a link that was cut short gets an answer that says so.
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("invitations/mine/<public_id:invitation_id>/", invitations.invitation_mine, name="invitation_mine"),
    path(
        f"{settings}second-factor/",
        requirement.second_factor_required,
        name="second_factor_required",
    ),
    path(factor, second_factor.second_factor, name="second_factor"),
    path(f"{factor}set-up/", second_factor.second_factor_activate, name="second_factor_activate"),
    path(f"{factor}off/", second_factor.second_factor_deactivate, name="second_factor_deactivate"),
    path(f"{factor}codes/", second_factor.recovery_codes_make, name="recovery_codes_make"),
    path(
        f"{factor}codes/download/",
        second_factor.recovery_codes_download,
        name="recovery_codes_download",
    ),
    path(f"{factor}codes/saved/", second_factor.recovery_codes_saved, name="recovery_codes_saved"),
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
