from django.urls import path, register_converter
from django.urls.converters import StringConverter

from keys import docs
from keys.api import keys, openapi, tokens
from keys.views import keys as views
from keys.views import recovery


class KeyId(StringConverter):
    """A key id and nothing else: whatever is pasted in its place ends in a 404, before the database."""

    regex = "[0-9A-Za-z]{12}"


register_converter(KeyId, "key_id")

api = "api/v1/"
settings = "projects/<slug:slug>/settings/keys/"

urlpatterns = [
    path(settings, views.key_list, name="key_list"),
    path(f"{settings}search/", views.key_search, name="key_search"),
    path(f"{settings}new/", views.key_create, name="key_create"),
    path(f"{settings}<key_id:key_id>/", views.key_detail, name="key_detail"),
    path(f"{settings}<key_id:key_id>/confirm/", views.key_confirm, name="key_confirm"),
    path(f"{settings}<key_id:key_id>/renew/", views.key_renew, name="key_renew"),
    path(f"{settings}<key_id:key_id>/rotate/", views.key_rotate, name="key_rotate"),
    path(f"{settings}<key_id:key_id>/pause/", views.key_pause, name="key_pause"),
    path(f"{settings}<key_id:key_id>/resume/", views.key_resume, name="key_resume"),
    path(f"{settings}<key_id:key_id>/revoke/", views.key_revoke, name="key_revoke"),
    path(f"{settings}<key_id:key_id>/reveal/", recovery.key_reveal, name="key_reveal"),
    path(f"{settings}recoverable/", recovery.recoverable_keys, name="recoverable_keys"),
    path(f"{settings}<key_id:key_id>/env/", views.key_env, name="key_env"),
    path("docs/", docs.docs_index, name="docs_index"),
    path("docs/present-a-key/", docs.docs_present_a_key, name="docs_present_a_key"),
    path("docs/scopes/", docs.docs_scopes, name="docs_scopes"),
    path("docs/errors/", docs.docs_errors, name="docs_errors"),
    path("docs/rotate-safely/", docs.docs_rotate_safely, name="docs_rotate_safely"),
    path("docs/second-factor/", docs.docs_second_factor, name="docs_second_factor"),
    path("docs/api/", docs.docs_api, name="docs_api"),
    path(f"{api}whoami", tokens.whoami_view, name="whoami"),
    path(f"{api}introspect", tokens.introspect_view, name="introspect"),
    path(f"{api}revoke", tokens.revoke_token_view, name="revoke_token"),
    path(f"{api}openapi.json", openapi.openapi_view, name="openapi"),
    path(f"{api}keys", keys.keys_view, name="api_keys"),
    path(f"{api}keys/<str:key_id>", keys.key_view, name="api_key"),
    path(f"{api}keys/<str:key_id>/renew", keys.renew_view, name="api_key_renew"),
    path(f"{api}keys/<str:key_id>/rotate", keys.rotate_view, name="api_key_rotate"),
    path(f"{api}keys/<str:key_id>/pause", keys.pause_view, name="api_key_pause"),
    path(f"{api}keys/<str:key_id>/resume", keys.resume_view, name="api_key_resume"),
    path(f"{api}keys/<str:key_id>/revoke", keys.revoke_view, name="api_key_revoke"),
]
