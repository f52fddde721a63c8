"""What every page for staff shares: a list, the facts of a row, and a page for each verb.

None of Django's forms writes here: whatever changes a row is a verb, which checks, locks and records. So
Django's own history of changes stays empty; the audit log is the history.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any, ClassVar

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ReauthenticationRequired
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import BadRequest, ObjectDoesNotExist, ValidationError
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, QueryDict
from django.shortcuts import render
from django.urls import URLPattern, path, reverse

from config.fragments import see_other
from config.redaction import holds_token
from projects.admin.cells import NONE, list_url
from projects.admin.lists import Changes, label_of
from projects.audit import Actor
from projects.forms import QuietForm
from projects.models import Membership, Project, Role, User
from projects.querysets import Order
from projects.reauthentication import is_fresh

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class Tool:
    """A link to what can be done with a row, or to what belongs to it."""

    label: str
    url: str
    danger: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A table under the facts of a row: what belongs to it, not more than a screenful."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    empty: str
    tools: Sequence[Tool] = ()

    def cells(self) -> list[list[tuple[str, str]]]:
        """Return the cells of each row with the names of their columns, which phones show."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(frozen=True, slots=True)
class Act:
    """What the page of a verb says. `sensitive` asks for the password again, good for half an hour."""

    title: str
    button: str
    lead: Sequence[str] = ()
    danger: bool = False
    sensitive: bool = False


def staff(request: HttpRequest) -> Actor:
    """Return whoever is signed in as staff act: with an owner's rights everywhere, under their own name."""
    if not isinstance(request.user, User):
        raise TypeError("Nobody is signed in.")
    return Actor.person(request.user, Role.OWNER, getattr(request, "client_address", None))


def posted(request: HttpRequest) -> QueryDict | None:
    return request.POST if request.method == "POST" else None


def asked(request: HttpRequest, name: str) -> str:
    """Return a parameter of the address, unless it holds a key: it is written into a form."""
    value = request.GET.get(name, "")
    return "" if holds_token(value) else value


def in_console(request: HttpRequest, project: Project, url: str) -> list[Tool]:
    """Return a link to a page of the project in the console, for its members: to others it is a 404."""
    mine = Membership.objects.filter(project=project, user_id=staff(request).id)
    return [Tool("Open in the console", url)] if not project.deleted_at and mine.exists() else []


class StaffAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows to find and to read. `list_display` and `facts` name methods that return a cell's text.

    Rows are addressed as people know them (`address_of`): a slug, a key id. No integer stands in a URL but a
    person's, by which the audit log knows them.
    """

    heading = ""
    lead = ""
    search_label = ""
    search_hint = ""
    searched: ClassVar[Sequence[str]] = ()
    facts: ClassVar[Sequence[str]] = ()
    order = Order("id")

    actions = None
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()

    # What a kind of row is called, and what can be done with it

    def address_of(self, row: Any) -> str:
        return str(row.pk)

    def at_address(self, address: str) -> Any:
        """Return the row, or None. One query at most."""
        raise NotImplementedError

    def order_of(self, request: HttpRequest) -> Order:
        """Return the order of the list. It must have an index."""
        return self.order

    def prepare(self, rows: list[Any]) -> None:
        """Fetch for one page of rows what `select_related` can't reach."""

    def title_of(self, row: Any) -> str:
        return str(row)

    def list_tools(self, request: HttpRequest) -> list[Tool]:
        return []

    def tools(self, request: HttpRequest, row: Any) -> list[Tool]:
        return []

    def sections(self, row: Any) -> list[Section]:
        return []

    def list_verbs(self) -> dict[str, View]:
        """Return the pages of the verbs that make a row, by the last part of their address."""
        return {}

    def verbs(self) -> dict[str, View]:
        """Return the pages of the verbs on one row, by the last part of their address."""
        return {}

    def sought(self, request: HttpRequest, text: str, kept: dict[str, str]) -> str:
        """Return the address that a search leads to. What looks like a key goes no further."""
        if holds_token(text):
            messages.warning(request, "That looks like an API key. Look for it under Keys.")
            text = ""
        return self.list_address(kept, text)

    # Who may: staff see everything, and change it through verbs alone

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.admin_site.has_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: Any = None) -> bool:
        # Django lets an address filter by any column, so `?secret_hash__startswith=` would tell a hash.
        return lookup in self._filters()

    # The addresses

    def get_urls(self) -> list[URLPattern]:
        """Return the addresses of the pages here. Not Django's own: they offer its forms."""
        views: dict[str, tuple[str, View]] = {
            "": ("changelist", self.changelist_view),
            "search/": ("search", self.search_view),
        }
        views |= {f"{verb}/": (verb, view) for verb, view in self.list_verbs().items()}
        on_a_row = {"change": self.change_view, **self.verbs()}
        views |= {f"<str:object_id>/{verb}/": (verb, view) for verb, view in on_a_row.items()}
        wrap = self.admin_site.admin_view
        return [path(route, wrap(view), name=self._name(name)) for route, (name, view) in views.items()]

    def url(self, verb: str, row: Any) -> str:
        return reverse(f"admin:{self._name(verb)}", args=[self.address_of(row)])

    def list_address(self, kept: dict[str, str], text: str = "") -> str:
        """Return the address of the list, with filters and a search."""
        kind = f"{self.opts.app_label}_{self.opts.model_name}"
        return list_url(kind, **kept, **({"q": text[:100]} if text else {}))

    # The pages

    def get_changelist(self, request: HttpRequest, **_: Any) -> type[ChangeList]:
        return Changes

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        given = [value for _, values in request.GET.lists() for value in values]
        if any("\0" in value for value in given):
            raise BadRequest  # PostgreSQL takes none in a text.
        if any(holds_token(value) for value in given):
            return self._search(request, request.GET)
        context = {
            "staff_admin": self,
            "tools": self.list_tools(request),
            "search_url": reverse(f"admin:{self._name('search')}"),
        }
        response: HttpResponse = super().changelist_view(request, context)
        return response

    def search_view(self, request: HttpRequest) -> HttpResponse:
        """A search is posted, and the server alone makes the address: a pasted key never becomes one."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        return self._search(request, request.POST)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        """Show the facts of a row. Nothing is changed here."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        row = self.get_object(request, object_id)
        context = {
            "row": row,
            "facts": [(label, cell) for label, cell in self.shown(self.facts, row) if cell != NONE],
            "tools": self.tools(request, row),
            "sections": self.sections(row),
        }
        return self.answer(request, "admin/object.html", context)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        # Not by Django's `search_fields`: with those, its JSON for select boxes would answer as well.
        for word in search_term.split():
            matches = (Q(**{f"{column}__icontains": word}) for column in self.searched)
            queryset = queryset.filter(reduce(or_, matches, Q()))
        return queryset, False

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """Return the row at an address. Raises Http404."""
        row = None if "\0" in object_id else self.at_address(object_id)
        if row is None:
            raise Http404
        return row

    def act(
        self,
        request: HttpRequest,
        act: Act,
        form: QuietForm,
        run: Callable[[], HttpResponse],
        row: Any = None,
    ) -> HttpResponse:
        """Answer the page of a verb: its form, and to a valid one what `run` answers.

        What the verb refuses (ValidationError) stands in the form again, with 422.
        """
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD", "POST"])
        if act.sensitive and not _is_fresh(request):
            return see_other(request, request.get_full_path())
        if request.method == "POST" and form.is_valid():
            try:
                return run()
            except ValidationError as error:
                form.take(error)
            except ObjectDoesNotExist:
                raise Http404 from None
        context = {"act": act, "form": form, "row": row}
        return self.answer(request, "admin/act.html", context, status=422 if form.errors else 200)

    def refused(self, request: HttpRequest, act: Act, message: str, row: Any) -> HttpResponse:
        """Answer that a verb came too late, or can't be: 409."""
        context = {"act": act, "refusal": message, "row": row}
        return self.answer(request, "admin/act.html", context, status=409)

    def answer(
        self, request: HttpRequest, template: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        list_address = self.list_address({})
        shared = {"staff_admin": self, "opts": self.opts, "list_url": list_address, "back_url": list_address}
        if row := context.get("row"):
            shared |= {"row_title": self.title_of(row), "row_url": self.url("change", row)}
            shared["back_url"] = shared["row_url"]
        context = {**self.admin_site.each_context(request), **shared, **context}
        return render(request, template, context, status=status)

    def shown(self, names: Iterable[Any], row: Any) -> list[tuple[str, str]]:
        """Return the cells of a row with their labels."""
        return [(label_of(self, name), getattr(self, name)(row)) for name in names]

    def _search(self, request: HttpRequest, given: QueryDict) -> HttpResponse:
        kept = {
            name: value
            for name, value in given.items()
            if isinstance(value, str) and name in self._filters() and value and not holds_token(value)
        }
        text = str(given.get("q", "")).replace("\0", "").strip()
        return see_other(request, self.sought(request, text, kept))

    def _filters(self) -> set[str]:
        filters: Iterable[Any] = self.list_filter
        return {each.parameter_name for each in filters}

    def _name(self, verb: str) -> str:
        return f"{self.opts.app_label}_{self.opts.model_name}_{verb}"


def _is_fresh(request: HttpRequest) -> bool:
    """Say whether the person proved themselves within the last half hour, here or in the console.

    A GET that comes too late raises, and django-allauth asks for the password or a code. A POST doesn't: what
    it carries would be kept in the session until then.
    """
    try:
        return is_fresh(request) or bool(_fresh(request))
    except ReauthenticationRequired:
        if request.method != "POST":
            raise
        return False


@reauthentication_required  # type: ignore[untyped-decorator]
def _fresh(request: HttpRequest) -> bool:
    return True
