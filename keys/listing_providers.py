"""The page of provider keys and upstreams: what its address asks for, and what it shows.

A search becomes an address only where it is a part of a name that is there. A value can't be told from a word
by its looks, and a pasted one must never become an address; what is in no name finds nothing anyway.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from django.db.models import QuerySet
from django.http import QueryDict

from keys.forms_providers import ProviderListForm
from keys.models import ProviderKey, Upstream
from keys.rows_providers import ProviderRow, UpstreamRow, anchor_of
from keys.search import ByName, read
from projects.access import Access
from projects.models import Project
from projects.names import fold
from projects.querysets import Order, Page, page

_BY_NAME: Final = Order("name_folded", descending=False)
_BY_SLUG: Final = Order("slug", descending=False)
_PLACES: Final = ("after", "before", "uafter", "ubefore")

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Part(Generic[R]):
    """One of the two tables with its pages. The queries are those of its links."""

    rows: list[R]
    previous: str
    next: str


class ProviderListing:
    """Both tables, read as the address asks.

    What the address asks for and isn't there is told about (`problem`), and the tables begin at their
    beginning.
    """

    def __init__(self, access: Access, params: Mapping[str, Any]) -> None:
        self._project = access.project
        form = ProviderListForm(params)
        self.given = form.values()
        self.problem = "" if form.is_valid() else "This link asks for something that isn't here."
        self._edges: dict[str, Any] = {name: self._edge(name) for name in _PLACES if name in self.given}
        if None in self._edges.values():
            self.problem = "This page of the list isn't there any more. Here is its beginning."
            self._edges = {}
            self.given = {name: value for name, value in self.given.items() if name not in _PLACES}

    @property
    def searched(self) -> bool:
        return bool({"q", "none"} & self.given.keys())

    @property
    def has_lost_search(self) -> bool:
        """Whether the address holds a search that must leave it: it is in no name, or it is a key."""
        return "q" in self.given and not _is_in_a_name(self._project, self.given["q"])

    def keys(self) -> Part[ProviderRow]:
        """The provider keys by name, with the upstreams that use them. Two queries."""
        after, before = self._edges.get("after"), self._edges.get("before")
        shown = page(self._found(), _BY_NAME, after=after, before=before)
        users = users_of(shown.rows)
        rows = [ProviderRow.of(key, users.get(key.pk, ())) for key in shown.rows]
        return self._part(rows, shown, [row.public_id for row in rows], "after", "before")

    def upstreams(self) -> Part[UpstreamRow]:
        """The upstreams by name. One query."""
        found = Upstream.objects.filter(project=self._project).select_related("provider_key")
        found = found.defer("provider_key__sealed")
        shown = page(found, _BY_SLUG, after=self._edges.get("uafter"), before=self._edges.get("ubefore"))
        rows = [UpstreamRow.of(upstream) for upstream in shown.rows]
        return self._part(rows, shown, [row.slug for row in rows], "uafter", "ubefore")

    def key_after(self, key: ProviderKey) -> str:
        """Return the selector of the row that follows a provider key, "" at the end. One query."""
        return "".join(key_anchor(row) for row in page(self._found(), _BY_NAME, after=key, size=1).rows)

    def upstream_after(self, upstream: Upstream) -> str:
        """Return the selector of the row that follows an upstream, "" at the end. One query."""
        found = Upstream.objects.filter(project=self._project)
        return "".join(upstream_anchor(row) for row in page(found, _BY_SLUG, after=upstream, size=1).rows)

    def matches(self, keys: Part[ProviderRow]) -> str:
        """Return what is said of a search. What was sought isn't repeated: it may be a value."""
        if not keys.rows:
            return "No provider key has that in its name."
        if keys.previous or keys.next:
            return "These provider keys match."
        return "1 provider key matches." if len(keys.rows) == 1 else f"{len(keys.rows)} provider keys match."

    def landing(self) -> str:
        """Where the focus goes after a turn of the page; "" where nothing was turned."""
        if {"after", "before"} & self.given.keys():
            return "#provider-keys"
        return "#upstream-rows" if {"uafter", "ubefore"} & self.given.keys() else ""

    def kept(self) -> list[tuple[str, str]]:
        """Return what the search form sends along: the place in the other table."""
        return parse_qsl(self.query(q="", none="", after="", before=""))

    def clear(self) -> str:
        return self.query(q="", none="", after="", before="")

    def query(self, **changes: str) -> str:
        """Return the query of an address with `changes`; an empty value takes a parameter away."""
        return urlencode({name: value for name, value in {**self.given, **changes}.items() if value})

    def _found(self) -> QuerySet[ProviderKey]:
        found = readable(self._project)
        if "q" in self.given:
            found = found.filter(name_folded__contains=fold(self.given["q"]))
        return found.none() if "none" in self.given else found

    def _part(self, rows: list[R], shown: Page[Any], places: list[str], after: str, before: str) -> Part[R]:
        back = self.query(**{after: "", before: places[0]}) if places and shown.has_previous else ""
        on = self.query(**{before: "", after: places[-1]}) if places and shown.has_next else ""
        return Part(rows, back, on)

    def _edge(self, name: str) -> ProviderKey | Upstream | None:
        place = self.given[name]
        if name.startswith("u"):
            return Upstream.objects.filter(project=self._project, slug=place).first()
        return readable(self._project).filter(public_id=place).first()


def readable(project: Project) -> QuerySet[ProviderKey]:
    """Return the project's provider keys without what nobody may see: it isn't even fetched."""
    return ProviderKey.objects.filter(project=project).defer("sealed")


def users_of(keys: Any) -> dict[int, list[str]]:
    """Return the slugs of the upstreams that use these provider keys, in their order. One query."""
    users: dict[int, list[str]] = {}
    linked = Upstream.objects.filter(provider_key__in=[key.pk for key in keys]).order_by("slug")
    for key_pk, slug in linked.values_list("provider_key_id", "slug"):
        users.setdefault(key_pk, []).append(slug)
    return users


def options_of(project: Project) -> list[tuple[str, str]]:
    """Return the project's provider keys to choose from: public id and name, by name. One query."""
    return list(readable(project).order_by("name_folded").values_list("public_id", "name"))


def search_query(access: Access, posted: QueryDict) -> str:
    """Return the query of the address that a search leads to, the place in the other table kept.

    What is in no name becomes `none=1`. Two queries at most.
    """
    places = ProviderListForm({name: posted.get(name, "") for name in ("uafter", "ubefore")}).values()
    known = Upstream.objects.filter(project=access.project, slug__in=places.values())
    given = places if places and known.count() == len(set(places.values())) else {}
    sought = read(posted.get("q") or "")
    if isinstance(sought, ByName) and _is_in_a_name(access.project, sought.text):
        given["q"] = sought.text
    elif sought is not None:
        given["none"] = "1"
    return urlencode(given)


def holds_pasted(params: QueryDict) -> bool:
    """Say whether somebody typed an address whose search looks like a key: it must leave the address bar."""
    sought = read(params.get("q") or "")
    return sought is not None and not isinstance(sought, ByName)


def key_anchor(key: ProviderKey) -> str:
    """Return the selector of what can be pressed in a provider key's row, for the focus."""
    return f"#provider-{key.public_id}"


def upstream_anchor(upstream: Upstream) -> str:
    return f"#upstream-{anchor_of(upstream.slug)}"


def _is_in_a_name(project: Project, text: str) -> bool:
    return readable(project).filter(name_folded__contains=fold(text)).exists()
