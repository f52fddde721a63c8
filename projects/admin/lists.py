"""Lists for staff: found by filters with names of their own, paged by cursor, and never counted."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest

from projects.models import Project
from projects.querysets import Order, Page, page

_CURSORS: Final = ("after", "before")


class Filter(admin.SimpleListFilter):
    """A filter with a name in the address; anything but its own options matches nothing."""

    options: ClassVar[Sequence[tuple[str, str]]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return self.options

    def has_output(self) -> bool:
        return True

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        if not value:
            return queryset
        known = value in {option for option, _ in self.options}
        return self.matching(queryset, value) if known else queryset.none()

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{str(self.parameter_name): value})


class LinkedFilter(Filter):
    """A filter that other pages link to: it offers nothing to choose, and can be taken away."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return ()

    def named(self, value: str) -> str:
        """Return what the value stands for; "" where there is no such thing."""
        raise NotImplementedError

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value()
        return self.matching(queryset, value) if value else queryset


class ProjectFilter(LinkedFilter):
    title = "project"
    parameter_name = "project"

    def named(self, value: str) -> str:
        project = Project.objects.filter(slug=value).first()
        return project.name if project else ""

    def matching(self, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        # By its number: behind a join, the planner would miss the index that has the order.
        project = Project.objects.filter(slug=value).first()
        return queryset.filter(project=project) if project else queryset.none()


def choice_filter(name: str, options: Iterable[tuple[str, str]]) -> type[Filter]:
    """Return a filter by the values of the column `name`."""
    fields = {"title": name, "parameter_name": name, "options": list(options)}
    return type(f"{name.capitalize()}Filter", (Filter,), fields)


def flag_filter(column: str, title: str) -> type[Filter]:
    """Return a filter by a column that says yes or no."""

    def matching(self: Filter, queryset: QuerySet[Any], value: str) -> QuerySet[Any]:
        return queryset.filter(**{column: value == "yes"})

    options = [("yes", "Yes"), ("no", "No")]
    fields = {"title": title, "parameter_name": title, "options": options, "matching": matching}
    return type(f"{title.capitalize()}Filter", (Filter,), fields)


class Changes(ChangeList):
    """One page of a list: by cursor, so that the last one is found as quickly as the first."""

    model_admin: Any  # a StaffAdmin

    def get_filters_params(self, params: Any = None) -> dict[str, Any]:
        found = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in _CURSORS}

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        # Another filter is another list, in which the place of this one means nothing.
        return super().get_query_string(new_params, [*(remove or []), *_CURSORS])

    def get_results(self, request: HttpRequest) -> None:
        order = self.model_admin.order_of(request)
        after, before = (self._edge(request.GET.get(name, "")) for name in _CURSORS)
        shown = self.shown(request, order, after, before)
        rows = self.result_list = list(shown.rows)
        self.model_admin.prepare(rows)
        self.previous = self._turned("before", rows[0]) if rows and shown.has_previous else ""
        self.next = self._turned("after", rows[-1]) if rows and shown.has_next else ""
        self.result_count = self.full_result_count = len(rows)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = False

    def shown(self, request: HttpRequest, order: Order, after: Any, before: Any) -> Page[Any]:
        """Return the page that the address asks for."""
        return page(self.queryset, order, after=after, before=before, size=self.list_per_page)

    # For the template

    def columns(self) -> list[str]:
        return [label_of(self.model_admin, name) for name in self.model_admin.list_display]

    def cells(self) -> list[list[tuple[str, str]]]:
        return [self.model_admin.shown(self.model_admin.list_display, row) for row in self.result_list]

    def choices(self) -> list[tuple[str, list[Any]]]:
        """Return the filters to choose from: what each is called, and its links."""
        return [(str(spec.title), list(spec.choices(self))) for spec in self._specs(linked=False)]

    def linked(self) -> list[tuple[str, str, str]]:
        """Return the filters that a link brought along: title, value, and the query without it."""
        return [
            (str(spec.title), spec.named(spec.value()), self.get_query_string(remove=[spec.parameter_name]))
            for spec in self._specs(linked=True)
            if spec.value()
        ]

    def kept(self) -> list[tuple[str, str]]:
        """Return what the search form sends along: the filters."""
        return [(spec.parameter_name, spec.value()) for spec in self._all() if spec.value()]

    def narrowed(self) -> bool:
        return bool(self.query or self.kept())

    def _all(self) -> list[Any]:
        return list(self.filter_specs)

    def _specs(self, *, linked: bool) -> list[Any]:
        return [spec for spec in self._all() if isinstance(spec, LinkedFilter) is linked]

    def _edge(self, address: str) -> Model | None:
        return self.model_admin.at_address(address) if address else None

    def _turned(self, name: str, row: Model) -> str:
        return self.get_query_string({name: self.model_admin.address_of(row)})


def label_of(model_admin: Any, name: Any) -> str:
    """Return the heading of a column: what `admin.display` says of its method."""
    return str(getattr(model_admin, name).short_description)
