from django.urls import path

from projects.views import invitations, projects

urlpatterns = [
    path("", projects.home, name="home"),
    path("projects/", projects.project_list, name="project_list"),
    path("projects/new/", projects.project_create, name="project_create"),
    # Any text: a link that was cut short gets an answer that says so.
    path("invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("invitations/mine/<public_id:invitation_id>/", invitations.invitation_mine, name="invitation_mine"),
]
