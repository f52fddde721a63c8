"""The console's pages about channels and their keys. Each fetches through the door, calls a verb, answers."""

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from keys import channels, conflicts, lifecycle
from keys.channel_lists import count_keys, next_channel
from keys.forms_channels import ChannelForm, ChannelKeyForm, EditChannelForm
from keys.views import channel_pages, pages
from keys.views.channel_pages import any_channel_of, channel_of
from keys.views.pages import GetOrPost
from projects.access import project_for
from projects.forms import QuietForm
from projects.models import Role


@require_safe
def channel_list(request: HttpRequest, slug: str) -> HttpResponse:
    return channel_pages.listed(request, project_for(request.user, slug))


@GetOrPost
def channel_create(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    form = ChannelForm(pages.posted(request))
    if request.method == "POST" and form.is_valid():
        actor, at = access.actor(request), timezone.now()
        try:
            made = channels.create_channel(access.project, **form.cleaned_data, actor=actor, at=at)
        except ValidationError as error:
            form.take(error)
        else:
            return channel_pages.back(request, access, f"{made.name} was created.", focus=made.slug)
    return channel_pages.form(request, access, "keys/channel_create.html", form)


@GetOrPost
def channel_edit(request: HttpRequest, slug: str, channel: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    found = any_channel_of(access, channel) if request.method == "POST" else channel_of(access, channel)
    initial = {"name": found.name, "kind": found.kind, "version": found.version}
    form, status = EditChannelForm(pages.posted(request), initial=initial), 200
    try:
        channels.refuse_closed(found)
        if request.method == "POST" and form.is_valid():
            actor, at = access.actor(request), timezone.now()
            edited = channels.edit_channel(
                access.project, found.slug, **form.cleaned_data, actor=actor, at=at
            )
            return channel_pages.back(request, access, f"{edited.name} was saved.", focus=edited.slug)
    except ValidationError as error:
        form.take(error)
    except channels.Stale as conflict:
        status = 409
        form.overtake(conflict.channel, str(conflict))
    except channels.AlreadyClosed as conflict:
        return channel_pages.conflict(request, access, conflict)
    return channel_pages.form(request, access, "keys/channel_edit.html", form, status=status, channel=found)


@GetOrPost
def channel_close(request: HttpRequest, slug: str, channel: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.ADMIN)
    found, at = any_channel_of(access, channel), timezone.now()
    form = QuietForm(pages.posted(request))
    try:
        channels.refuse_closed(found)
        if request.method == "POST":
            follower = next_channel(found)
            ended = channels.close_channel(access.project, found.slug, actor=access.actor(request), at=at)
            message = f"{found.name} was closed{_with_keys(ended)}."
            return channel_pages.back(request, access, message, focus=follower)
    except ValidationError as error:
        form.take(error)
    except channels.Conflict as conflict:
        return channel_pages.conflict(request, access, conflict)
    count = count_keys(found, at)
    return channel_pages.form(request, access, "keys/channel_close.html", form, channel=found, count=count)


@require_safe
def channel_keys(request: HttpRequest, slug: str, channel: str) -> HttpResponse:
    access = project_for(request.user, slug)
    return channel_pages.keys_table(request, access, channel_of(access, channel), request.GET)


@GetOrPost
@never_cache
def channel_issue(request: HttpRequest, slug: str, channel: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OPERATOR)
    found = any_channel_of(access, channel) if request.method == "POST" else channel_of(access, channel)
    at = timezone.now()
    form = ChannelKeyForm(pages.posted(request), at=at)
    try:
        channels.refuse_closed(found)
        if request.method == "POST" and form.is_valid():
            issued = lifecycle.issue(
                access.project,
                form.draft(found),
                actor=access.actor(request),
                at=at,
                nonce=form.cleaned_data["nonce"],
            )
            return pages.once(request, access, issued, found)
    except ValidationError as error:
        form.take(error)
    except conflicts.AlreadyIssued as conflict:
        return pages.conflict(request, access, conflict, found)
    except channels.AlreadyClosed as closed:
        return channel_pages.conflict(request, access, closed)
    return channel_pages.form(request, access, "keys/channel_issue.html", form, channel=found)


def _with_keys(ended: int) -> str:
    if not ended:
        return ""
    return ", and 1 key with it" if ended == 1 else f", and {ended:,} keys with it"
