"""What the pages about keys share: their context, how a dialog is answered, where a verb leads back to."""

from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from config.fragments import answer, current_path, current_query, go_to, into, is_fragment, see_other, then
from keys import conflicts, lifecycle
from keys.channel_lists import next_key
from keys.first_calls import FirstCall
from keys.forms import AgentForm, KeyForm
from keys.listing import BadCursor, Listing, Tab, holds_pasted_key, search_query, tab_of
from keys.models import Key
from keys.rows import Row
from keys.views import channel_pages
from keys.views.channel_pages import came_from
from projects.access import Access
from projects.models import Channel, Role
from projects.moments import Moment

REVOKED_COLUMNS: Final = (
    "Name", "Key", "Type", "Created", "Last used", "Revoked", "By", "Reason",
)  # fmt: skip

GetOrPost: Final = require_http_methods(["GET", "HEAD", "POST"])


def posted(request: HttpRequest) -> QueryDict | None:
    """Return what a form is bound to: whatever was posted, nothing of it included."""
    return request.POST if request.method == "POST" else None


def key_of(access: Access, key_id: str) -> Key:
    """Return the project's key; to whoever looks from another project it does not exist."""
    key: Key | None = Key.objects.of(access.project).filter(key_id=key_id).first()
    if key is None:
        raise Http404
    return key


def context(access: Access, tab: Tab, **more: Any) -> dict[str, Any]:
    """Return what every page about keys knows; `urls` are those of the tab that it belongs to."""
    urls = {name: tab.url(name, access.project) for name in ("list", "search", "create")}
    may_issue = access.at_least(Role.OPERATOR)
    return {
        "access": access,
        "project": access.project,
        "may_issue": may_issue,
        "tab": tab,
        "urls": urls,
        **more,
    }


def way_back(channel: Channel | None) -> dict[str, Any]:
    """Return what a dialog about a key knows that was opened from the table of a channel's keys.

    Its buttons lead back to that table, and its forms carry along where they were asked from.
    """
    return {"channel": channel, "rail": "channels"} if channel else {}


# Dialogs


def form(
    request: HttpRequest,
    access: Access,
    tab: Tab,
    template: str,
    form: Any,
    *,
    status: int | None = None,
    **more: Any,
) -> HttpResponse:
    """Answer with a dialog that holds a form: 422 where it was refused, unless `status` says otherwise."""
    status = status or (422 if form.errors else 200)
    shown = context(access, tab, form=form, **more)
    return answer(request, template, shown, partial="dialog", status=status)


def created(
    request: HttpRequest, access: Access, tab: Tab, template: str, new: KeyForm | AgentForm, at: datetime
) -> HttpResponse:
    """Answer the form of a new key: where it is sent and good, with the key and its token, once."""
    if request.method == "POST" and new.is_valid():
        nonce, actor = new.cleaned_data["nonce"], access.actor(request)
        try:
            issued = lifecycle.issue(access.project, new.draft(), actor=actor, at=at, nonce=nonce)
        except ValidationError as error:
            new.take(error)
        except conflicts.AlreadyIssued as spent:
            return conflict(request, access, spent)
        else:
            return once(request, access, issued)
    return form(request, access, tab, template, new)


def once(
    request: HttpRequest, access: Access, issued: lifecycle.Issued, channel: Channel | None = None
) -> HttpResponse:
    """Show a token, in the answer to the POST that made it and nowhere else.

    `channel` is the one in whose table the key was generated.
    """
    key, at = issued.key, timezone.now()
    shown = context(
        access,
        tab_of(key),
        key=key,
        token=issued.token,
        tag=key.get_type_display(),
        whoami=request.build_absolute_uri(reverse("whoami")),
        proof=FirstCall(since=Moment.of(at)),
        **way_back(channel or came_from(request, key)),
    )
    return answer(request, "keys/key_once.html", shown, partial="dialog")


def conflict(
    request: HttpRequest, access: Access, conflict: conflicts.Conflict, channel: Channel | None = None
) -> HttpResponse:
    """Answer that a verb came too late, or a second time: 409, with the key as it is."""
    key = conflict.key
    when = None
    if isinstance(conflict, conflicts.AlreadyRevoked) and key.revoked_at and key.revoked_by_label:
        when = Moment.of(key.revoked_at)
    actor, at = access.actor(request), timezone.now()
    shown = context(
        access,
        tab_of(key),
        heading="Nothing was changed",
        message=str(conflict),
        when=when,
        key=key,
        row=Row.of(key, actor, at),
        **way_back(channel or came_from(request, key)),
    )
    return answer(request, "keys/key_conflict.html", shown, partial="dialog", status=409)


# Tables


def listed(request: HttpRequest, access: Access, tab: Tab) -> HttpResponse:
    """Answer the page of a tab, as its address asks."""
    if holds_pasted_key(request.GET):
        return see_other(request, _address(access, tab, search_query(access, request.GET, tab)))
    return _tables(request, access, listing(request, access, tab, request.GET))


def searched(request: HttpRequest, access: Access, tab: Tab) -> HttpResponse:
    """Answer a search: the server chooses the address, so that a pasted key never becomes one."""
    query = search_query(access, request.POST, tab)
    url = _address(access, tab, query)
    if not is_fragment(request):
        return see_other(request, url)
    response = _tables(request, access, listing(request, access, tab, QueryDict(query)))
    response["HX-Replace-Url"] = url
    return response


def listing(request: HttpRequest, access: Access, tab: Tab, params: Any = None) -> Listing:
    """Return the tables of a tab: as `params` ask, or as the page does that htmx asks from."""
    if params is None:
        params = QueryDict(current_query(request, tab.url("list", access.project)))
    return Listing(access, access.actor(request), params, timezone.now(), tab)


def _tables(request: HttpRequest, access: Access, shown: Listing) -> HttpResponse:
    try:
        listed = _listed(access, shown)
    except BadCursor:
        shown = listing(request, access, shown.tab, {})
        shown.problem = "This page of the list isn't there any more. Here is its beginning."
        listed = _listed(access, shown)
    status = 400 if shown.problem else 200
    response = answer(request, f"keys/{shown.tab.name}_list.html", listed, partial="listing", status=status)
    if landing := shown.landing():
        then(response, focus={"target": landing})
    return response


def _listed(access: Access, shown: Listing) -> dict[str, Any]:
    return context(
        access,
        shown.tab,
        listing=shown,
        table=shown.table(),
        revoked=shown.revoked(),
        headers=shown.headers(),
        revoked_columns=REVOKED_COLUMNS,
        state=shown.state(),
        clear=shown.clear(),
    )


def _address(access: Access, tab: Tab, query: str) -> str:
    url = tab.url("list", access.project)
    return f"{url}?{query}" if query else url


# After a verb


def tab_behind(request: HttpRequest, access: Access, key: Key) -> Tab | None:
    """Return the key's tab where it stands behind the dialog, None where htmx asks from another page."""
    tab = tab_of(key)
    return tab if current_path(request) in ("", tab.url("list", access.project)) else None


def back(
    request: HttpRequest, access: Access, key: Key, message: str, *, focus: str = "", home: str = ""
) -> HttpResponse:
    """Answer a verb on a key: the tables as the person had them, with a message, and the dialog closed.

    From another page it leads to `home`, or else to the tab that the key stands in. A verb that was asked for
    from the table of a channel's keys leads back to that one. `focus` is the id of a key: it takes the focus
    where its row is there, for a search may leave it out.
    """
    if channel := came_from(request, key):
        return channel_pages.back_to_keys(request, access, channel, message, focus=focus)
    home = home or tab_of(key).url("list", access.project)
    if not is_fragment(request):
        return see_other(request, home, message)
    tab = tab_behind(request, access, key)
    if tab is None:
        return go_to(request, home, message)
    shown = listing(request, access, tab)
    messages.success(request, message)
    response = into(_tables(request, access, shown), "#listing")
    response["HX-Reswap"] = "outerHTML"
    listed = focus and f'id="key-{focus}"'.encode() in response.content
    return then(response, close={}, focus={"target": f"#key-{focus}" if listed else "h1"})


def follower(request: HttpRequest, access: Access, key: Key) -> str:
    """Return the id of the row after the key in the table that the verb leads back to; "" for none."""
    if channel := came_from(request, key):
        return next_key(channel, key, timezone.now())
    tab = tab_behind(request, access, key)
    return listing(request, access, tab).next_after(key) if tab else ""
