"""What the pages about channels share: the table of channels, and the table of one channel's keys.

That second table stands in a dialog, or without JavaScript on a page; every verb on a key that begins there
ends there, in the same place: there is never a dialog on a dialog.
"""

from typing import Any, Final

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone

from config.fragments import answer, current_path, current_query, go_to, into, is_fragment, see_other, then
from keys import channels
from keys.channel_lists import ChannelRow, Listed, channels_of, count_keys, keys_of
from keys.models import Key
from projects.access import Access
from projects.models import Channel, Role

# In the address of a verb on a key: it was asked for from the table of its channel's keys.
FROM_CHANNEL: Final = "channel"


def channel_of(access: Access, slug: str) -> Channel:
    """Return the project's open channel. Raises Http404."""
    channel = any_channel_of(access, slug)
    if channel.closed_at is not None:
        raise Http404
    return channel


def any_channel_of(access: Access, slug: str) -> Channel:
    """Return the project's channel, closed or not, for a form that comes too late. Raises Http404."""
    channel = Channel.objects.filter(project=access.project, slug=slug).first()
    if channel is None:
        raise Http404
    channel.project = access.project
    return channel


def came_from(request: HttpRequest, key: Key) -> Channel | None:
    """Return the open channel from whose table a verb on the key was asked for, else None."""
    channel = key.channel if request.GET.get("from") == FROM_CHANNEL else None
    return channel if channel is not None and channel.closed_at is None else None


def context(access: Access, **more: Any) -> dict[str, Any]:
    """Return what every page about channels knows."""
    return {
        "access": access,
        "project": access.project,
        "rail": "channels",
        "may_manage": access.at_least(Role.ADMIN),
        "may_issue": access.at_least(Role.OPERATOR),
        "urls": {"list": list_url(access)},
        **more,
    }


def list_url(access: Access) -> str:
    return reverse("channel_list", args=[access.project.slug])


def keys_url(access: Access, channel: Channel) -> str:
    return reverse("channel_keys", args=[access.project.slug, channel.slug])


# Dialogs


def form(
    request: HttpRequest, access: Access, template: str, form: Any, *, status: int = 200, **more: Any
) -> HttpResponse:
    """Answer with a dialog that holds a form: 422 where it was refused, unless another `status` says why."""
    status = 422 if form.errors and status == 200 else status
    return answer(request, template, context(access, form=form, **more), partial="dialog", status=status)


def conflict(request: HttpRequest, access: Access, conflict: channels.Conflict) -> HttpResponse:
    """Answer that a verb came too late: 409."""
    shown = context(access, message=str(conflict))
    return answer(request, "keys/channel_conflict.html", shown, partial="dialog", status=409)


def keys_table(
    request: HttpRequest, access: Access, channel: Channel, params: Any, focus: str = ""
) -> HttpResponse:
    """Answer with the keys of a channel, the focus on the row of the key `focus`.

    In a dialog the answer also brings the count that stands in the list behind.
    """
    actor, at = access.actor(request), timezone.now()
    listed = keys_of(channel, params, actor, at)
    behind = is_fragment(request) and current_path(request) == list_url(access)
    shown = context(
        access,
        channel=channel,
        listed=listed,
        focus=focus,
        keys_url=keys_url(access, channel),
        count=count_keys(channel, at) if behind else None,
    )
    status = 400 if listed.problem else 200
    return answer(request, "keys/channel_keys.html", shown, partial="dialog", status=status)


# The list


def listed(request: HttpRequest, access: Access) -> HttpResponse:
    """Answer the page of channels, as its address asks."""
    return _table(request, access, channels_of(access.project, request.GET, timezone.now()))


def _table(request: HttpRequest, access: Access, listed: Listed[ChannelRow]) -> HttpResponse:
    status = 400 if listed.problem else 200
    shown = context(access, listed=listed)
    response = answer(request, "keys/channel_list.html", shown, partial="listing", status=status)
    turned = listed.turned and listed.rows
    return then(response, focus={"target": "#channels"}) if turned else response


# After a verb


def back(request: HttpRequest, access: Access, message: str, *, focus: str = "") -> HttpResponse:
    """Answer a verb on a channel: the table as the person had it, with a message, and the dialog closed.

    The focus goes to the row of the channel `focus`, where the page shows it.
    """
    home = list_url(access)
    if not is_fragment(request):
        return see_other(request, home, message)
    if current_path(request) not in ("", home):
        return go_to(request, home, message)
    messages.success(request, message)
    found = channels_of(access.project, QueryDict(current_query(request, home)), timezone.now())
    response = into(_table(request, access, found), "#listing")
    response["HX-Reswap"] = "outerHTML"
    shown = focus in [row.slug for row in found.rows]
    return then(response, close={}, focus={"target": f"#keys-of-{focus}" if shown else "h1"})


def back_to_keys(
    request: HttpRequest, access: Access, channel: Channel, message: str, *, focus: str = ""
) -> HttpResponse:
    """Answer a verb on a key of a channel: the table of its keys in the same dialog, with a message."""
    home = keys_url(access, channel)
    if not is_fragment(request):
        return see_other(request, home, message)
    if current_path(request) not in ("", list_url(access)):
        return go_to(request, home, message)
    messages.success(request, message)
    return into(keys_table(request, access, channel, QueryDict(), focus), "#dialog")
