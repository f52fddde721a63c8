from django.urls import path, register_converter
from django.urls.converters import StringConverter

from keys import docs
from keys.api import gateways, keys, openapi, tokens
from keys.views import agents, channels, members, providers, recovery
from keys.views import keys as views


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
of_channels = "projects/<slug:slug>/settings/channels/"
people = "projects/<slug:slug>/settings/members/"
provider_keys = "projects/<slug:slug>/settings/providers/"
upstreams = f"{provider_keys}upstreams/"

urlpatterns = [
    path(settings, views.key_list, name="key_list"),
    path(f"{settings}search/", views.key_search, name="key_search"),
    path(f"{settings}new/", views.key_create, name="key_create"),
    path(f"{settings}<key_id:key_id>/", views.key_detail, name="key_detail"),
    path(f"{settings}agents/", agents.agent_list, name="agent_list"),
    path(f"{settings}agents/search/", agents.agent_search, name="agent_search"),
    path(f"{settings}agents/new/", agents.agent_create, name="agent_create"),
    path(f"{settings}<key_id:key_id>/edit/", views.key_edit, name="key_edit"),
    path(f"{settings}<key_id:key_id>/confirm/", views.key_confirm, name="key_confirm"),
    path(f"{settings}<key_id:key_id>/renew/", views.key_renew, name="key_renew"),
    path(f"{settings}<key_id:key_id>/rotate/", views.key_rotate, name="key_rotate"),
    path(f"{settings}<key_id:key_id>/pause/", views.key_pause, name="key_pause"),
    path(f"{settings}<key_id:key_id>/resume/", views.key_resume, name="key_resume"),
    path(f"{settings}<key_id:key_id>/revoke/", views.key_revoke, name="key_revoke"),
    path(f"{settings}<key_id:key_id>/reveal/", recovery.key_reveal, name="key_reveal"),
    path(f"{settings}recoverable/", recovery.recoverable_keys, name="recoverable_keys"),
    path(f"{settings}<key_id:key_id>/first-call/", views.key_first_call, name="key_first_call"),
    path(f"{settings}<key_id:key_id>/env/", views.key_env, name="key_env"),
    path(of_channels, channels.channel_list, name="channel_list"),
    path(f"{of_channels}new/", channels.channel_create, name="channel_create"),
    path(f"{of_channels}<slug:channel>/edit/", channels.channel_edit, name="channel_edit"),
    path(f"{of_channels}<slug:channel>/close/", channels.channel_close, name="channel_close"),
    path(f"{of_channels}<slug:channel>/keys/", channels.channel_keys, name="channel_keys"),
    path(f"{of_channels}<slug:channel>/keys/new/", channels.channel_issue, name="channel_issue"),
    path(people, members.member_list, name="member_list"),
    path(f"{people}invite/", members.member_invite, name="member_invite"),
    path(f"{people}<public_id:person_id>/role/", members.member_role, name="member_role"),
    path(f"{people}<public_id:person_id>/remove/", members.member_remove, name="member_remove"),
    path(
        f"{people}invitations/<public_id:invitation_id>/renew/",
        members.invitation_renew,
        name="invitation_renew",
    ),
    path(
        f"{people}invitations/<public_id:invitation_id>/revoke/",
        members.invitation_revoke,
        name="invitation_revoke",
    ),
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
    path("docs/channels/", docs.docs_channels, name="docs_channels"),
    path("docs/errors/", docs.docs_errors, name="docs_errors"),
    path("docs/rotate-safely/", docs.docs_rotate_safely, name="docs_rotate_safely"),
    path("docs/provider-keys/", docs.docs_provider_keys, name="docs_provider_keys"),
    path("docs/gateways/", docs.docs_gateways, name="docs_gateways"),
    path("docs/audit-log/", docs.docs_audit_log, name="docs_audit_log"),
    path("docs/second-factor/", docs.docs_second_factor, name="docs_second_factor"),
    path("docs/api/", docs.docs_api, name="docs_api"),
    path(f"{api}authorize", gateways.authorize_view, name="authorize"),
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
