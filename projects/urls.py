from django.urls import path

from projects.views import invitations, projects, requirement, second_factor

settings = "projects/<slug:slug>/settings/"
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
]
