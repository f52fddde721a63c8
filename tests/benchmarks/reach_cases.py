"""What is asked for at a thousand keys and at a million: every sort, every filter, every kind of search."""

from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from keys.kinds import Environment, KeyType

KEYS: Final = "/projects/northwind/settings/keys/"
AGENTS: Final = "/projects/northwind/settings/keys/agents/"
LOG: Final = "/projects/northwind/settings/audit/"
# What somebody types: the beginnings of words that many names have, few and none.
TERMS: Final = {
    "common": ("s", "bi", "doc", "crawler"),
    "rare": ("q", "qu", "qua", "quagga"),
    "absent": ("x", "xx", "xyz", "zzyzx"),
}
# Written out, since what they are called after needs a database; a test holds that none is missing.
SORTS: Final = ("created", "-created", "name", "-name", "used", "-used", "expires", "-expires")
STATUSES: Final = ("active", "unconfirmed", "expires_soon", "paused", "expired")
# So many keys are made what a filter or a search finds (`tests.benchmarks.alike`): the smallest size.
LEAST: Final = 600
TYPES: Final = tuple(kind for kind in KeyType if kind not in (KeyType.SYSTEM, KeyType.AGENT))


@dataclass(frozen=True, slots=True)
class Case:
    """A page; at a million keys it may take so many times what it takes at a thousand."""

    title: str
    url: str
    most: float = 1.3

    def address(self, facts: dict[str, Any]) -> str:
        return self.url.format(**facts)


def cases() -> list[Case]:
    """Return every page that is compared between sizes."""
    lists = [Case("first page", KEYS), Case("agents", AGENTS), Case("audit log", LOG)]
    lists += [Case(f"sort {name}", f"{KEYS}?sort={name}") for name in SORTS]
    filters = {f"type {kind}": f"type={kind}" for kind in TYPES}
    filters |= {f"status {name}": f"status={name}" for name in STATUSES}
    filters |= {f"environment {name}": f"environment={name}" for name in Environment.values}
    filters |= {"created by me": "mine=1", "not used": "unused=1", "by a person": "by={person}"}
    filters |= {"paused by name": "status=paused&sort=name", "channel last used": "type=channel&sort=-used"}
    filtered = [Case(title, f"{KEYS}?{query}") for title, query in filters.items()]
    searches = [
        Case(f"search {how} {len(term) if len(term) < 4 else '4+'}", f"{KEYS}?q={quote(term)}")
        for how, terms in TERMS.items()
        for term in terms
    ]
    searches += [
        Case("search common, paused", f"{KEYS}?q=crawler&status=paused"),
        Case("search common, restricted", f"{KEYS}?q=crawler&type=restricted"),
        Case("search revoked common", f"{KEYS}?rq=ort"),
        Case("search agents common", f"{AGENTS}?q=crawler"),
    ]
    return [*lists, *filtered, *searches]


# Compared with the first page of the same list, at the same size.
LAST_PAGES: Final = {
    "last page": (KEYS, f"{KEYS}?after={{after}}"),
    "last page by name": (f"{KEYS}?sort=name", f"{KEYS}?sort=name&after={{after_name}}"),
    "last page of the revoked": (KEYS, f"{KEYS}?rafter={{after_revoked}}"),
}
