from django.urls import path

from keys import api, views

settings = "projects/<slug:slug>/settings/keys/"

urlpatterns = [
    path(settings, views.key_list, name="key_list"),
    path(f"{settings}search/", views.key_search, name="key_search"),
    path(f"{settings}new/", views.key_create, name="key_create"),
    path(f"{settings}<str:key_id>/", views.key_detail, name="key_detail"),
    path(f"{settings}<str:key_id>/confirm/", views.key_confirm, name="key_confirm"),
    path(f"{settings}<str:key_id>/renew/", views.key_renew, name="key_renew"),
    path(f"{settings}<str:key_id>/revoke/", views.key_revoke, name="key_revoke"),
    path(f"{settings}<str:key_id>/env/", views.key_env, name="key_env"),
    path("api/v1/whoami", api.whoami, name="whoami"),
]
