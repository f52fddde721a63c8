from django.urls import path, register_converter
from django.urls.converters import StringConverter

from keys import docs
from keys.api import keys, openapi, tokens
from keys.views import keys as views
from keys.views import providers


class KeyId(StringConverter):
    """A key id and nothing else: whatever is pasted in its place ends in a 404, before the database."""

    regex = "[0-9A-Za-z]{12}"


class UpstreamSlug(StringConverter):
    """The name of an upstream, and nothing else."""

    regex = "[a-z0-9][a-z0-9.-]{0,59}"


register_converter(KeyId, "key_id")
register_converter(UpstreamSlug, "upstream")

api = "api/v1/"
settings = "projects/<slug:slug>/settings/keys/"
provider_keys = "projects/<slug:slug>/settings/providers/"
upstreams = f"{provider_keys}upstreams/"

urlpatterns = [
    path(settings, views.key_list, name="key_list"),
    path(f"{settings}search/", views.key_search, name="key_search"),
    path(f"{settings}new/", views.key_create, name="key_create"),
    path(f"{settings}<key_id:key_id>/", views.key_detail, name="key_detail"),
    path(f"{settings}<key_id:key_id>/confirm/", views.key_confirm, name="key_confirm"),
    path(f"{settings}<key_id:key_id>/renew/", views.key_renew, name="key_renew"),
    path(f"{settings}<key_id:key_id>/revoke/", views.key_revoke, name="key_revoke"),
    path(f"{settings}<key_id:key_id>/env/", views.key_env, name="key_env"),
    path(provider_keys, providers.provider_key_list, name="provider_key_list"),
    path(f"{provider_keys}search/", providers.provider_key_search, name="provider_key_search"),
    path(f"{provider_keys}new/", providers.provider_key_create, name="provider_key_create"),
    path(f"{provider_keys}<key_id:public_id>/edit/", providers.provider_key_edit, name="provider_key_edit"),
    path(
        f"{provider_keys}<key_id:public_id>/delete/",
        providers.provider_key_delete,
        name="provider_key_delete",
    ),
    path(f"{upstreams}new/", providers.upstream_create, name="upstream_create"),
    path(f"{upstreams}<upstream:upstream>/select/", providers.upstream_select, name="upstream_select"),
    path(f"{upstreams}<upstream:upstream>/delete/", providers.upstream_delete, name="upstream_delete"),
    path("docs/", docs.docs_index, name="docs_index"),
    path("docs/present-a-key/", docs.docs_present_a_key, name="docs_present_a_key"),
    path("docs/scopes/", docs.docs_scopes, name="docs_scopes"),
    path("docs/errors/", docs.docs_errors, name="docs_errors"),
    path("docs/rotate-safely/", docs.docs_rotate_safely, name="docs_rotate_safely"),
    path("docs/provider-keys/", docs.docs_provider_keys, name="docs_provider_keys"),
    path("docs/api/", docs.docs_api, name="docs_api"),
    path(f"{api}whoami", tokens.whoami_view, name="whoami"),
    path(f"{api}introspect", tokens.introspect_view, name="introspect"),
    path(f"{api}revoke", tokens.revoke_token_view, name="revoke_token"),
    path(f"{api}openapi.json", openapi.openapi_view, name="openapi"),
    path(f"{api}keys", keys.keys_view, name="api_keys"),
    path(f"{api}keys/<str:key_id>", keys.key_view, name="api_key"),
    path(f"{api}keys/<str:key_id>/renew", keys.renew_view, name="api_key_renew"),
    path(f"{api}keys/<str:key_id>/revoke", keys.revoke_view, name="api_key_revoke"),
]
