"""Members and invitations. They stand here and not among the projects: they speak of people's keys."""

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.fragments import answer, current_path, current_query, go_to, into, is_fragment, see_other, then
from keys.listing import BadCursor
from keys.members import LeftBehind, Members, kept_working, left_behind, members_url
from keys.views.pages import GetOrPost, posted
from projects import invitations, lifecycle
from projects.access import Access, project_for
from projects.invitations import Invited
from projects.member_forms import InviteForm, NewLinkForm, RemoveForm, RoleForm
from projects.models import Invitation, Membership, Role, Standing
from projects.moments import Moment

_GONE: Final = "This page of the list isn't there any more. Here is its beginning."


@require_safe
def member_list(request: HttpRequest, slug: str) -> HttpResponse:
    return _listed(request, project_for(request.user, slug), request.GET)


@GetOrPost
@never_cache
def member_invite(request: HttpRequest, slug: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    at = timezone.now()
    initial = {"role": Role.VIEWER, "email": ""}
    form = InviteForm(posted(request), request=request, initial=initial)
    waiting = None
    if request.method == "POST" and form.is_valid():
        email, role = form.cleaned_data["email"], form.cleaned_data["role"]
        try:
            invited = invitations.invite(access.project, email, role, actor=access.actor(request), at=at)
        except ValidationError as error:
            waiting = _waiting(access, email)
            form.take(error)
        else:
            return _link(request, access, invited)
    return _form(request, access, "keys/member_invite.html", form, waiting=waiting)


@GetOrPost
@never_cache
def invitation_renew(request: HttpRequest, slug: str, invitation_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    found = _invitation_of(access, invitation_id)
    form = NewLinkForm(posted(request), request=request, initial={"version": found.version})
    try:
        if request.method == "POST" and form.is_valid():
            version, actor = form.cleaned_data["version"], access.actor(request)
            invited = invitations.make_new_link(
                access.project, invitation_id, version=version, actor=actor, at=timezone.now()
            )
            return _link(request, access, invited)
    except ValidationError as error:
        form.take(error)
    except invitations.Stale as stale:
        return _conflict(request, access, stale)
    return _form(request, access, "keys/invitation_renew.html", form, invitation=found)


@GetOrPost
def invitation_revoke(request: HttpRequest, slug: str, invitation_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    found = _invitation_of(access, invitation_id)
    form = RemoveForm(posted(request), request=request)
    try:
        if request.method == "POST" and form.is_valid():
            actor, at = access.actor(request), timezone.now()
            invitations.revoke_invitation(access.project, invitation_id, actor=actor, at=at)
            return _back(request, access, f"The invitation of {found.email} was revoked.")
    except ValidationError as error:
        form.take(error)
    except invitations.Stale as stale:
        return _conflict(request, access, stale)
    return _form(request, access, "keys/invitation_revoke.html", form, invitation=found)


@GetOrPost
def member_role(request: HttpRequest, slug: str, person_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    member = _member_of(access, person_id)
    form = RoleForm(posted(request), request=request, initial={"role": member.role, "was": member.role})
    try:
        if request.method == "POST" and form.is_valid():
            role, was = Role(form.cleaned_data["role"]), form.cleaned_data["was"]
            actor, at = access.actor(request), timezone.now()
            lifecycle.change_role(access.project, member.user, role, actor=actor, at=at, was=was)
            return _role_changed(request, access, member, role)
    except ValidationError as error:
        form.take(error)
    except lifecycle.RoleChanged as changed:
        return _conflict(request, access, changed)
    except Membership.DoesNotExist:
        raise Http404 from None
    return _form(request, access, "keys/member_role.html", form, **_about(access, member))


@GetOrPost
def member_remove(request: HttpRequest, slug: str, person_id: str) -> HttpResponse:
    access = project_for(request.user, slug, at_least=Role.OWNER)
    member, at = _member_of(access, person_id), timezone.now()
    form = RemoveForm(posted(request), request=request)
    left = left_behind(access.project, member.user, at)
    try:
        if request.method == "POST" and form.is_valid():
            lifecycle.remove_member(access.project, member.user, actor=access.actor(request), at=at)
            return _removed(request, access, member, left)
    except ValidationError as error:
        form.take(error)
    except Membership.DoesNotExist:
        raise Http404 from None
    shown = {"left": left, "keep_working": kept_working(left.count), **_about(access, member)}
    return _form(request, access, "keys/member_remove.html", form, **shown)


# What they speak of


def _member_of(access: Access, person_id: str) -> Membership:
    members = Membership.objects.filter(project=access.project).select_related("user")
    member = members.filter(user__public_id=person_id).first()
    if member is None:
        raise Http404
    return member


def _invitation_of(access: Access, invitation_id: str) -> Invitation:
    found = Invitation.objects.filter(project=access.project, public_id=invitation_id).first()
    if found is None:
        raise Http404
    return found


def _waiting(access: Access, email: str) -> Invitation | None:
    """Return the open invitation of this address: the refusal of a second one leads to it."""
    mine = Invitation.objects.filter(project=access.project, email=email.strip().lower())
    found = mine.judged().pending().first()
    return found if found and found.standing(timezone.now()) is Standing.OPEN else None


def _about(access: Access, member: Membership) -> dict[str, Any]:
    return {"member": member, "is_you": member.user == access.user}


# Answers


def _context(access: Access, **more: Any) -> dict[str, Any]:
    return {
        "access": access,
        "project": access.project,
        "rail": "members",
        "may_change": access.at_least(Role.OWNER),
        "urls": {"list": members_url(access.project)},
        **more,
    }


def _form(request: HttpRequest, access: Access, template: str, form: Any, **more: Any) -> HttpResponse:
    status = 422 if form.errors else 200
    shown = _context(access, form=form, **more)
    return answer(request, template, shown, partial="dialog", status=status)


def _link(request: HttpRequest, access: Access, invited: Invited) -> HttpResponse:
    """Show the link of an invitation, in the answer to the POST that made it and nowhere else."""
    found = invited.invitation
    shown = _context(access, invitation=found, link=invited.link, expires=Moment.of(found.expires_at))
    return answer(request, "keys/invitation_link.html", shown, partial="dialog")


def _conflict(request: HttpRequest, access: Access, conflict: Exception) -> HttpResponse:
    shown = _context(access, message=str(conflict))
    return answer(request, "keys/member_conflict.html", shown, partial="dialog", status=409)


def _listed(request: HttpRequest, access: Access, params: Any) -> HttpResponse:
    at, problem = timezone.now(), ""
    try:
        shown = Members(access, params, at)
        tables = _tables(access, shown)
    except BadCursor:
        problem, shown = _GONE, Members(access, {}, at)
        tables = _tables(access, shown)
    context = _context(access, problem=problem, **tables)
    status = 400 if problem else 200
    response = answer(request, "keys/member_list.html", context, partial="listing", status=status)
    if landing := shown.landing():
        then(response, focus={"target": landing})
    return response


def _tables(access: Access, shown: Members) -> dict[str, Any]:
    # Who is invited is for those who may do something about it.
    invited = shown.invitations() if access.at_least(Role.OWNER) else None
    return {"members": shown.members(), "invited": invited}


def _back(request: HttpRequest, access: Access, message: str) -> HttpResponse:
    """Answer a verb: the tables as the person had them, with a message, and the dialog closed."""
    home = members_url(access.project)
    if not is_fragment(request):
        return see_other(request, home, message)
    if current_path(request) not in ("", home):
        return go_to(request, home, message)
    messages.success(request, message)
    response = into(_listed(request, access, QueryDict(current_query(request, home))), "#listing")
    response["HX-Reswap"] = "outerHTML"
    return then(response, close={}, focus={"target": "h1"})


def _leave(request: HttpRequest, url: str, message: str) -> HttpResponse:
    """Answer with another page: the one behind the dialog isn't this person's any more as it stands."""
    return go_to(request, url, message) if is_fragment(request) else see_other(request, url, message)


def _role_changed(request: HttpRequest, access: Access, member: Membership, role: Role) -> HttpResponse:
    if member.user == access.user:
        said = f"You are now {role.label} in {access.project.name}."
        return _leave(request, members_url(access.project), said)
    return _back(request, access, f"{member.user.label} is now {role.label} in {access.project.name}.")


def _removed(request: HttpRequest, access: Access, member: Membership, left: LeftBehind) -> HttpResponse:
    if member.user == access.user:
        return _leave(request, reverse("project_list"), f"You left {access.project.name}.")
    links = [format_html('<a href="{}">{}</a>', review.url, review.count) for review in left.reviews]
    said = format_html("{} was removed. {}", member.user.label, kept_working(left.count))
    for link in links:
        said = format_html("{} {}", said, link)
    return _back(request, access, said)
