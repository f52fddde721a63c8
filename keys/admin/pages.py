"""A page of the keys for staff: from the index that serves a filter, or else a piece of the list at a time.

No index has the keys of every project by type or state. So what nobody has narrowed to a project is looked
through piece by piece, the newest first: a page costs as much however rare what it looks for, and says where
it goes on.
"""

from functools import reduce
from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone

from keys.finding import COUNTED_AT_MOST, Wanted, find
from keys.models import Key
from keys.querysets import LAST_REVOKED_FIRST, KeyQuerySet
from keys.search import ByKey, ByName, Nothing, Sought, is_key_id, read
from keys.search_index import found_anywhere, is_prefix, walked
from projects.admin.lists import Changes
from projects.models import Project
from projects.names import fold
from projects.querysets import Order, Page, page, turned

LOOKED_THROUGH: Final = 5000
# What is linked to from other pages, each with an index of its own.
_LINKED: Final = ("person", "channel")


class KeyChanges(Changes):
    """One page of the list of keys."""

    looked_through = f"{LOOKED_THROUGH:,}"
    root_queryset: KeyQuerySet
    # Where the next piece begins, as a parameter of the address; "" where all was looked through.
    further: tuple[str, str] = ("", "")

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        name, key_id = self.further
        if name == "after":
            self.next = self.get_query_string({name: key_id})
        elif name:
            self.previous = self.get_query_string({name: key_id})

    def shown(self, request: HttpRequest, order: Order, after: Any, before: Any) -> Page[Any]:
        """Return the page. A few queries, none of which looks at more than `LOOKED_THROUGH` keys."""
        keys, sought = self._narrowed(request, self.root_queryset, ()), read(self.query)
        project = Project.objects.filter(slug=self._given("project")).first()
        if isinstance(sought, ByKey | Nothing):
            return page(keys.sought(sought), order, after=after, before=before, size=self.list_per_page)
        if project and self._given("state"):
            return self._in_state(request, project, sought, order, after, before)
        few = self._few(sought)
        if few is not None:
            return page(keys.numbered(few), order, after=after, before=before, size=self.list_per_page)
        if sought or any(map(self._given, ("type", "environment", "state", *_LINKED))):
            keys = walked(keys, fold(sought.text)) if sought else keys
            return self._piece(keys, project, order, after, before)
        return page(keys, order, after=after, before=before, size=self.list_per_page)

    def _given(self, name: str) -> str:
        values = (spec.value() for spec in self._all() if spec.parameter_name == name)
        return next(values, None) or ""

    def _narrowed(self, request: HttpRequest, keys: Any, left_out: tuple[str, ...]) -> Any:
        specs = (spec for spec in self._all() if spec.parameter_name not in left_out)
        return reduce(lambda narrowed, spec: spec.queryset(request, narrowed), specs, keys)

    def _in_state(
        self, request: HttpRequest, project: Project, sought: Sought | None, order: Order,
        after: Key | None, before: Key | None,
    ) -> Page[Any]:  # fmt: skip
        """Return a page of a project's keys in a state: as the console finds them."""
        state, left_out = self._given("state"), ("project", "state")
        revoked = state == "revoked"
        others = any(map(self._given, ("type", "environment", *_LINKED)))
        wanted = Wanted(
            project, timezone.now(), self.root_queryset.filter(project=project), revoked=revoked,
            sought=sought, status="" if revoked else state,
            narrow=(lambda keys: self._narrowed(request, keys, left_out)) if others else None,
        )  # fmt: skip
        order = LAST_REVOKED_FIRST if revoked else order
        after, before = (_place(edge, project, revoked=revoked) for edge in (after, before))
        return find(wanted, order, after=after, before=before, size=self.list_per_page).page

    def _few(self, sought: Sought | None) -> list[int] | None:
        """Return the numbers of the keys that a name, a person or a channel leaves; None for too many."""
        if isinstance(sought, ByName) and not is_prefix(fold(sought.text)):
            keys = self.root_queryset
            pks = found_anywhere(keys, fold(sought.text), COUNTED_AT_MOST + 1)
            if len(pks) <= COUNTED_AT_MOST and is_key_id(sought.text):
                pks += Key.objects.filter(key_id=sought.text).values_list("pk", flat=True)
        elif sought is None and any(map(self._given, _LINKED)):
            linked = [spec for spec in self._all() if spec.parameter_name in _LINKED]
            keys = reduce(lambda narrowed, spec: spec.queryset(None, narrowed), linked, Key.objects.all())
            pks = list(keys.values_list("pk", flat=True)[: COUNTED_AT_MOST + 1])
        else:
            return None
        return pks if len(pks) <= COUNTED_AT_MOST else None

    def _piece(
        self, keys: KeyQuerySet, project: Project | None, order: Order, after: Any, before: Any
    ) -> Page[Any]:
        """Return those of the next piece of the list; what is not found there may stand further on."""
        edge, reverse = (before, True) if before is not None else (after, False)
        every = Key.objects.filter(project=project) if project else Key.objects.all()
        every = every.read_from("key_by_creation" if project else "")
        if edge is not None:
            every = every.filter(order.past(edge, reverse=reverse))
        looked = list(order.applied(every, reverse=reverse).values_list("pk", flat=True)[:LOOKED_THROUGH])
        found = keys.numbered(looked)
        rows = list(order.applied(found, reverse=reverse)[: self.list_per_page + 1])
        if len(rows) <= self.list_per_page and len(looked) == LOOKED_THROUGH:
            last = Key.objects.values_list("key_id", flat=True).get(pk=looked[-1])
            self.further = ("before" if reverse else "after"), last
        return turned(rows, self.list_per_page, edge=edge is not None, reverse=reverse)


def _place(edge: Key | None, project: Project, *, revoked: bool) -> Key | None:
    """Return the key that a page begins at, if it stands in this list."""
    if edge is None or edge.project_id != project.pk or (revoked and edge.revoked_at is None):
        return None
    return edge
