"""The keys page: what its address asks for, and what it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from django.db.models import Exists, OuterRef, Q
from django.http import QueryDict
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString

from keys.finding import Found, Wanted, find
from keys.forms import FILTERS, ListForm
from keys.kinds import KeyType
from keys.models import Key
from keys.querysets import LAST_REVOKED_FIRST, NEWEST_FIRST, SORTS, KeyQuerySet, Shelf
from keys.rows import Row
from keys.search import ByKey, ByName, Nothing, Sought, is_key_id, read
from keys.usage import lately
from projects.access import Access
from projects.models import Membership, Project, User
from projects.querysets import Order

# Stands in an address for a pasted text that no key can be known by; it never says what was pasted.
_NO_KEY: Final = "-"
# The filters that a queryset puts on; state and person are found otherwise.
_NARROWING: Final = ("type", "environment", "mine", "unused")
_COLUMNS: Final = {"name": "Name", "used": "Last used", "created": "Created", "expires": "Expires"}
_STARTS_DESCENDING: Final = frozenset({"used", "created"})
_CAPTIONS: Final = {
    "-created": "newest first", "created": "oldest first",
    "name": "by name, A to Z", "-name": "by name, Z to A",
    "-used": "last used first", "used": "longest unused first",
    "expires": "next to expire first", "-expires": "last to expire first",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tab:
    """A page with a table of keys: what its URLs are called after, and which types of keys it shows.

    `label` is what its link says, `title` what its page is called, `one` what a key of it is.
    """

    name: str
    label: str
    title: str
    caption: str
    one: str
    types: Sequence[KeyType]
    shelf: Shelf

    def url(self, page: str, project: Project) -> str:
        """Return the address of its `list`, `search` or `create`."""
        return _address(f"{self.name}_{page}", project.slug)

    @property
    def only(self) -> Q:
        """The condition for its keys."""
        return Q(type__in=self.types)

    def keys(self, project: Project) -> KeyQuerySet:
        return Key.objects.of(project).filter(self.only)


@lru_cache(maxsize=1000)
def _address(name: str, slug: str) -> str:
    return reverse(name, args=[slug])


PROJECT_KEYS: Final = Tab(
    "key", "Project keys", "API keys", "Project API keys", "a project key",
    tuple(kind for kind in KeyType if kind != KeyType.AGENT), Shelf.KEYS,
)  # fmt: skip
AGENT_KEYS: Final = Tab(
    "agent", "Agent keys", "Agent keys", "Agent keys", "an agent key", (KeyType.AGENT,),
    Shelf.AGENTS,
)  # fmt: skip
TABS: Final = (PROJECT_KEYS, AGENT_KEYS)


def tab_of(key: Key) -> Tab:
    """Return the tab that shows the key."""
    return next(tab for tab in TABS if key.type in tab.types)


class BadCursor(Exception):
    """The address names a place that isn't in this project's list."""


@dataclass(frozen=True, slots=True)
class Header:
    """A sortable column: where its link leads, and what `aria-sort` says."""

    label: str
    query: str
    aria_sort: str


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Another tab than the one that was searched: a pasted key stands there, at this address."""

    tab: Tab
    url: str


@dataclass(frozen=True, slots=True)
class Table:
    """One of the two tables with its pages. The queries are those of its links."""

    rows: list[Row]
    previous: str
    next: str
    searched: bool
    matches: str
    elsewhere: Elsewhere | None = None

    @property
    def is_new(self) -> bool:
        """Whether nobody has made a key yet: only the Automator Key is there."""
        return not (self.searched or self.previous or self.next) and all(row.protected for row in self.rows)


class Listing:
    """Both tables of a tab for one person, read as the address asks.

    A form that isn't valid is told about (`problem`), and the tables show what they show without it.
    """

    def __init__(
        self, access: Access, actor: Any, params: Mapping[str, Any], at: datetime, tab: Tab = PROJECT_KEYS
    ) -> None:
        self.access, self._actor, self._at, self.tab = access, actor, at, tab
        self.form = ListForm(params, types=tab.types)
        self.given: dict[str, Any] = self.form.values()
        self.person = _person(access.project, self.given["by"]) if "by" in self.given else None
        lost = "by" in self.given and self.person is None
        if lost:
            self.given = {"sort": NEWEST_FIRST}
        if self.form.unknown:
            self.given = {"sort": NEWEST_FIRST}
        valid = self.form.is_valid() and not lost and not self.form.unknown
        self.problem = "" if valid else "This link asks for something that isn't here."
        self.order: Order = SORTS[self.given["sort"]]
        self.filtered = any(name in self.given for name in (*self.form.filters, "by"))

    def keys(self) -> Wanted:
        """The keys of the first table: not revoked, searched and filtered."""
        given = self.given
        return Wanted(
            self.access.project,
            self._at,
            shelves=[self.tab.shelf],
            sought=_sought(given.get("q"), given.get("key")),
            status=given.get("status", ""),
            narrow=self._narrowed if set(_NARROWING) & given.keys() else None,
            by=self.person,
        )

    def revoked_keys(self) -> Wanted:
        """The keys of the second table. One that was pasted into the first search is found here too."""
        return self._sought_revoked(self.given.get("rkey") or self._pasted_revoked())

    def _narrowed(self, keys: KeyQuerySet) -> KeyQuerySet:
        given = self.given
        for column in ("type", "environment"):
            if column in given:
                keys = keys.filter(**{column: given[column]})
        if "mine" in given:
            keys = keys.made_by(self.access.user)
        return keys.unused_since(self._at) if "unused" in given else keys

    def table(self) -> Table:
        searched = bool({"q", "key"} & self.given.keys()) or self.filtered
        cursors, terms = ("after", "before"), ("q", "key")
        table, self.order = self._table(self.keys(), self.order, cursors, terms, searched)
        # Very many are shown in the order that an index has, and say so.
        self.given["sort"] = next(name for name, order in SORTS.items() if order == self.order)
        return table

    def revoked(self) -> Table:
        searched = bool({"rq", "rkey"} & self.given.keys())
        cursors, terms = ("rafter", "rbefore"), ("rq", "rkey")
        return self._table(self.revoked_keys(), LAST_REVOKED_FIRST, cursors, terms, searched)[0]

    def caption(self) -> str:
        return f"{self.tab.caption}, {_CAPTIONS[self.given['sort']]}"

    def headers(self) -> dict[str, Header]:
        return {name: self._header(name, label) for name, label in _COLUMNS.items()}

    def filters(self) -> SafeString:
        chosen = tuple((name, _text(self.given[name])) for name in self.form.filters if name in self.given)
        return _filters(self.tab.types, chosen)

    def state(self) -> dict[str, list[tuple[str, str]]]:
        """What each form must send along to keep the rest of the address, its own part left out."""
        searched, paged = ("q", "key"), ("after", "before")
        revoked = ("rq", "rkey", "rafter", "rbefore")
        return {
            "search": self._kept(*searched, *paged),
            "filter": self._kept(*self.form.filters, *paged),
            "revoked": self._kept(*revoked),
        }

    def clear(self) -> dict[str, str]:
        """The queries that take a search away, and what the first one's link says."""
        filters = dict.fromkeys((*self.form.filters, "by"), "")
        label = "Clear search" if {"q", "key"} & self.given.keys() else "Clear filters"
        return {
            "label": label if not self.filtered or label == "Clear filters" else "Clear all",
            "search": self.query(q="", key="", after="", before="", **filters),
            "revoked": self.query(rq="", rkey="", rafter="", rbefore=""),
        }

    def landing(self) -> str:
        """Where the focus goes after a turn of the page; "" where nothing was turned."""
        if {"after", "before"} & self.given.keys():
            return "#keys"
        return "#revoked-keys" if {"rafter", "rbefore"} & self.given.keys() else ""

    def next_after(self, key: Key) -> str:
        """Return the id of the row that follows `key` in the first table, "" at its end."""
        follower = find(self.keys(), self.order, after=key, size=1).page.rows
        return follower[0].key_id if follower else ""

    def query(self, **changes: str) -> str:
        """Return the query of an address with `changes`; an empty value takes a parameter away."""
        given = {**self.given, **changes}
        if given.get("sort") == NEWEST_FIRST:
            del given["sort"]
        return urlencode({name: _text(value) for name, value in given.items() if value})

    def _kept(self, *left_out: str) -> list[tuple[str, str]]:
        query = self.query(**dict.fromkeys(left_out, ""))
        return parse_qsl(query)

    def _header(self, name: str, label: str) -> Header:
        descending, current = f"-{name}", self.given["sort"]
        aria = {name: "ascending", descending: "descending"}.get(current, "none")
        first, second = (descending, name) if name in _STARTS_DESCENDING else (name, descending)
        turned = second if current == first else first
        return Header(label, self.query(sort=turned, after="", before=""), aria)

    def _sought_revoked(self, key_id: str | None) -> Wanted:
        return Wanted(
            self.access.project,
            self._at,
            shelves=[self.tab.shelf],
            revoked=True,
            sought=_sought(self.given.get("rq"), key_id),
        )

    def _pasted_revoked(self) -> str | None:
        """The key id that was pasted into the first search, where it is a revoked key's."""
        key_id: str | None = self.given.get("key")
        if not key_id:
            return None
        return key_id if find(self._sought_revoked(key_id), LAST_REVOKED_FIRST, size=1).count else None

    def _table(
        self, wanted: Wanted, order: Order, cursors: tuple[str, str], terms: tuple[str, str], searched: bool
    ) -> tuple[Table, Order]:
        """Return a table, and the order that its rows stand in. Bars of use take a query."""
        after, before = cursors
        found = find(wanted, order, after=self._edge(after), before=self._edge(before))
        if not found.page.rows and self.given.keys() & set(cursors):
            # What stood on this page has been revoked since: the list isn't empty, its end has moved.
            found = find(wanted, order)
        shown = found.page
        use = {} if wanted.revoked else lately(shown.rows, self._at)
        rows = [Row.of(key, self._actor, self._at, use.get(key.pk)) for key in shown.rows]
        back = {after: "", before: rows[0].key_id} if rows and shown.has_previous else None
        on = {before: "", after: rows[-1].key_id} if rows and shown.has_next else None
        matches = _matches(found) if searched else ""
        elsewhere = None
        if searched and not matches:
            matches, elsewhere = self._says(*terms)
        table = Table(
            rows,
            self.query(**back) if back else "",
            self.query(**on) if on else "",
            searched,
            matches,
            elsewhere,
        )
        return table, found.order

    def _says(self, name: str, key_name: str) -> tuple[str, Elsewhere | None]:
        """What to say where a search finds nothing, and which tab has what was pasted."""
        if key_name in self.given:
            if key_name == "key" and self._pasted_revoked():
                return "That key was revoked: it is under Revoked keys.", None
            if elsewhere := self._elsewhere(self.given[key_name]):
                return f"That key is {elsewhere.tab.one}: it is under", elsewhere
            return f"No key in {self.access.project.name} matches what you pasted.", None
        return (f"No keys match “{self.given[name]}”." if name in self.given else "No keys match."), None

    def _elsewhere(self, key_id: str) -> Elsewhere | None:
        """The tab that shows the key of this id, where it is another than this one. One query."""
        project = self.access.project
        sought = _sought(None, key_id)
        key = Key.objects.of(project).sought(sought).first() if sought else None
        if key is None or key.type in self.tab.types:
            return None
        tab = tab_of(key)
        return Elsewhere(tab, f"{tab.url('list', project)}?{urlencode({'key': key.key_id})}")

    def _edge(self, name: str) -> Key | None:
        if name not in self.given:
            return None
        key: Key | None = self._known().filter(key_id=self.given[name]).first()
        if key is None or (name.startswith("r") and key.revoked_at is None):
            raise BadCursor
        return key

    def _known(self) -> KeyQuerySet:
        return self.tab.keys(self.access.project)


@lru_cache(maxsize=1000)
def _filters(types: Sequence[KeyType], chosen: Sequence[tuple[str, str]]) -> SafeString:
    """Return the filters as HTML. Rendering their selects anew takes a tenth of a page's time."""
    form = ListForm({**dict.fromkeys(FILTERS, ""), **dict(chosen)}, types=types)
    return render_to_string("keys/partials/filters.html", {"filters": [form[name] for name in form.filters]})


def _person(project: Project, public_id: str) -> User | None:
    """Return a member of the project, or somebody who left keys behind; None for anybody else. One query."""
    made = Key.objects.filter(project=project, created_by=OuterRef("pk"))
    member = Membership.objects.filter(project=project, user=OuterRef("pk"))
    return User.objects.filter(Exists(member) | Exists(made), public_id=public_id).first()


def _matches(found: Found) -> str:
    """Return how many keys a search has found; "" for none."""
    count = found.count or 0
    if found.capped:
        return f"{count:,}+ keys match."
    if count == 1:
        return "1 key matches."
    return f"{count:,} keys match." if count else ""


def search_query(access: Access, posted: QueryDict, tab: Tab) -> str:
    """Return the query of the address that a search in a tab leads to, its other parameters kept.

    A pasted token becomes `key=<key_id>`, its public part; what can't be known by one becomes `key=-`.
    One query at most, for a preview or a key id.
    """
    kept = {name: value for name, value in posted.items() if name not in ("q", "rq")}
    given = {name: _text(value) for name, value in ListForm(kept, types=tab.types).values().items()}
    if given["sort"] == NEWEST_FIRST:
        del given["sort"]
    for name, key_name in (("q", "key"), ("rq", "rkey")):
        if name in posted:
            given |= _meant(access, read(posted.get(name, "") or ""), name, key_name)
    return urlencode(given)


def holds_pasted_key(params: QueryDict) -> bool:
    """Say whether somebody typed an address whose search is a key: it must leave the address bar."""
    return any(isinstance(read(params.get(name) or ""), ByKey | Nothing) for name in ("q", "rq"))


def _meant(access: Access, sought: Sought | None, name: str, key_name: str) -> dict[str, str]:
    if sought is None:
        return {}
    if isinstance(sought, ByName):
        return {key_name if _is_a_key(access, sought.text) else name: sought.text}
    if isinstance(sought, Nothing):
        return {key_name: _NO_KEY}
    if not sought.last4:
        return {key_name: sought.start}
    found = Key.objects.of(access.project).sought(sought).first()
    return {key_name: found.key_id if found else _NO_KEY}


def _is_a_key(access: Access, text: str) -> bool:
    """Say whether `text` is the id of one of the project's keys, as the row's button copies it."""
    return is_key_id(text) and Key.objects.of(access.project).filter(key_id=text).exists()


def _sought(term: str | None, key_id: str | None) -> Sought | None:
    if key_id:
        return Nothing() if key_id == _NO_KEY else ByKey(key_id)
    return ByName(term) if term else None


def _text(value: Any) -> str:
    return "1" if value is True else str(value)
