"""Every URL that the resolver knows, flattened, with a way to ask for each."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.urls import URLPattern, URLResolver, get_resolver

_ARGUMENT: Final = re.compile(r"<(?:\w+:)?(\w+)>")
# The shapes that django-allauth and the admin write as regular expressions.
_REGEX_ARGUMENT: Final = re.compile(r"\(\?P<(\w+)>[^)]*\)")


@dataclass(frozen=True, slots=True)
class Route:
    """One URL: its name (with its namespace), its pattern from the root, and its view."""

    name: str
    pattern: str
    view: Callable[..., Any]

    @property
    def arguments(self) -> list[str]:
        return _ARGUMENT.findall(self.pattern) or _REGEX_ARGUMENT.findall(self.pattern)

    def path(self, given: Mapping[str, str]) -> str:
        """Return the path of this URL with these arguments, filled in as they are."""
        path = _REGEX_ARGUMENT.sub(lambda match: given[match[1]], self.pattern)
        path = _ARGUMENT.sub(lambda match: given[match[1]], path)
        return "/" + path.replace("^", "").replace("$", "").replace("\\Z", "")

    @property
    def needs_sign_in(self) -> bool:
        """Whether the middleware turns away whoever is signed out; so for every view but a marked one."""
        return getattr(self.view, "login_required", True)


def routes() -> list[Route]:
    return list(_walk(get_resolver().url_patterns, "", ""))


def _walk(patterns: Any, prefix: str, namespace: str) -> Iterator[Route]:
    for entry in patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            inner = f"{namespace}{entry.namespace}:" if entry.namespace else namespace
            yield from _walk(entry.url_patterns, pattern, inner)
        elif isinstance(entry, URLPattern):
            yield Route(namespace + (entry.name or pattern), pattern, entry.callback)
