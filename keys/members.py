"""The members page: who belongs to a project, what each of them made, and who is invited."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.db.models import Count, QuerySet
from django.urls import reverse

from keys.listing import TABS, BadCursor, Tab
from keys.models import Key
from keys.querysets import KeyQuerySet
from projects.access import Access
from projects.models import Invitation, Membership, Project, Role, Standing, User
from projects.moments import Moment, distance
from projects.querysets import Order, page

# Owners first: people look here for whom to ask.
_OWNERS_FIRST: Final = Order("role")
_NEWEST_FIRST: Final = Order("created_at")
# Of the keys that somebody leaves behind, these are named.
NAMED_AT_MOST: Final = 10


class PlaceForm(forms.Form):
    """What the address of the members page says: the place in both tables."""

    after = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    before = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    iafter = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)
    ibefore = forms.RegexField(r"^[0-9A-Za-z]{12}\Z", required=False)


@dataclass(frozen=True, slots=True)
class Made:
    """So many keys of somebody's, and where they are listed."""

    count: str
    url: str


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member as people read them."""

    public_id: str
    label: str
    email: str
    named: bool
    is_you: bool
    is_active: bool
    role: str
    made: list[Made]
    revoked: int
    signed_in: Moment | None


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """An invitation that nobody has accepted yet."""

    public_id: str
    email: str
    role: str
    invited_by: str
    standing: str
    expires: Moment
    expires_in: str


@dataclass(frozen=True, slots=True)
class Rows:
    """One of the two tables with its pages. The queries are those of its links."""

    rows: list[Any]
    previous: str
    next: str


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """The keys that go on working without whoever made them; the first are named."""

    count: int
    named: list[Key]
    reviews: list[Made]

    @property
    def more(self) -> int:
        return self.count - len(self.named)


class Members:
    """Both tables of the members page, read as its address asks. Raises BadCursor."""

    def __init__(self, access: Access, params: Mapping[str, Any], at: datetime) -> None:
        self._access, self._project, self._at = access, access.project, at
        form = PlaceForm(params)
        if not form.is_valid():
            raise BadCursor
        self.given: dict[str, str] = {name: value for name, value in form.cleaned_data.items() if value}

    def members(self) -> Rows:
        """The members, owners first. Three queries, one more for a page that isn't the first."""
        found = Membership.objects.filter(project=self._project).select_related("user")
        edges = self._edges("after", "before", found, "user__public_id")
        shown = page(found, _OWNERS_FIRST, **edges)
        users = [member.user for member in shown.rows]
        made, revoked = _made(self._project, users, self._at)
        rows = [
            self._row(member, made[member.user_id], revoked.get(member.user_id, 0)) for member in shown.rows
        ]
        return self._turned(rows, shown, "after", "before")

    def invitations(self) -> Rows:
        """The invitations that wait, newest first. One query, two for a page that isn't the first."""
        found = Invitation.objects.filter(project=self._project).judged().pending()
        edges = self._edges("iafter", "ibefore", found, "public_id")
        shown = page(found, _NEWEST_FIRST, **edges)
        rows = [self._invitation(invitation) for invitation in shown.rows]
        return self._turned(rows, shown, "iafter", "ibefore")

    def landing(self) -> str:
        """Where the focus goes after a turn of the page; "" where nothing was turned."""
        if {"after", "before"} & self.given.keys():
            return "#members"
        return "#invitations" if self.given else ""

    def _row(self, member: Membership, made: list[Made], revoked: int) -> MemberRow:
        user = member.user
        return MemberRow(
            public_id=user.public_id,
            label=user.label,
            email=user.email,
            named=bool(user.name),
            is_you=user == self._access.user,
            is_active=user.is_active,
            role=Role(member.role).label,
            made=made,
            revoked=revoked,
            signed_in=Moment.of(user.last_login) if user.last_login else None,
        )

    def _invitation(self, invitation: Invitation) -> InvitationRow:
        standing = invitation.standing(self._at)
        return InvitationRow(
            public_id=invitation.public_id,
            email=invitation.email,
            role=Role(invitation.role).label,
            invited_by=invitation.invited_by_label,
            standing="" if standing is Standing.OPEN else standing.value,
            expires=Moment.of(invitation.expires_at),
            expires_in=distance(invitation.expires_at, self._at),
        )

    def _edges(self, after: str, before: str, found: QuerySet[Any], column: str) -> dict[str, Any]:
        """Return the rows that the page follows or precedes. Raises BadCursor."""
        edges: dict[str, Any] = {}
        for name, given in (("after", after), ("before", before)):
            if given in self.given:
                edges[name] = found.filter(**{column: self.given[given]}).first()
                if edges[name] is None:
                    raise BadCursor
        return edges

    def _turned(self, rows: list[Any], shown: Any, after: str, before: str) -> Rows:
        kept = {name: value for name, value in self.given.items() if name not in (after, before)}
        back = urlencode({**kept, before: rows[0].public_id}) if rows and shown.has_previous else ""
        on = urlencode({**kept, after: rows[-1].public_id}) if rows and shown.has_next else ""
        return Rows(rows, back, on)


def left_behind(project: Project, user: User, at: datetime) -> LeftBehind:
    """Return the working keys whose secret `user` has seen. A query for each tab, and one."""
    known = Key.objects.of(project).living(at).known_to(user, project)
    named = list(known.order_by("-created_at", "-pk")[:NAMED_AT_MOST])
    counts = {tab: known.filter(tab.only).count() for tab in TABS}
    reviews = [Made(f"Review {_noun(tab)}s", _url(tab, project, user)) for tab in TABS if counts[tab]]
    return LeftBehind(sum(counts.values()), named, reviews)


def kept_working(count: int) -> str:
    """Return how many keys stay, as a sentence; "" where there are none."""
    if not count:
        return ""
    return "Their key keeps working." if count == 1 else f"Their {count:,} keys keep working."


def _made(
    project: Project, users: Iterable[User], at: datetime
) -> tuple[Mapping[int, list[Made]], dict[int, int]]:
    """Return the links to each person's keys, and how many more they made that were revoked. Two queries."""
    made: defaultdict[int, list[Made]] = defaultdict(list)
    by_id = {user.pk: user for user in users}
    keys: KeyQuerySet = Key.objects.filter(project=project, created_by__in=by_id)
    tallies = {f"in_{tab.name}": Count("pk", filter=tab.only) for tab in TABS}
    counted: Iterable[Any] = keys.listed(at).values("created_by").annotate(**tallies)
    for tally in counted:
        user = by_id[tally["created_by"]]
        for tab in TABS:
            if count := tally[f"in_{tab.name}"]:
                said = f"{count:,} {_noun(tab)}{'s' if count > 1 else ''}"
                made[user.pk].append(Made(said, _url(tab, project, user)))
    revoked = keys.revoked(at).values("created_by").annotate(count=Count("pk"))
    return made, {tally["created_by"]: tally["count"] for tally in revoked}


def _noun(tab: Tab) -> str:
    """Return what one key of a tab is called: "key", "agent key"."""
    words = tab.name.replace("_", " ")
    return words if words.endswith("key") else f"{words} key"


def _url(tab: Tab, project: Project, user: User) -> str:
    return f"{tab.url('list', project)}?{urlencode({'by': user.public_id})}"


def members_url(project: Project) -> str:
    return reverse("member_list", args=[project.slug])
