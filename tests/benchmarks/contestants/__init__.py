"""What is measured: Keyrack, its peers and a view that does nothing; each in a process of its own.

`tests.benchmarks.child` runs one; nothing here imports Django, so that the process that measures needs none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

KEYRACK_SETTINGS: Final = "config.settings"
PEERS_SETTINGS: Final = "tests.benchmarks.peers.settings"
STOCK_SETTINGS: Final = "tests.benchmarks.peers.stock"
NEW_SETTINGS: Final = "tests.benchmarks.peers.new"


class Module(Protocol):
    """What the module of a contestant has."""

    def seed(self, keys: int, chosen: int) -> Sequence[str]:
        """Make so many keys, and return the tokens of `chosen` of them, spread over all."""

    def application(self) -> Any:
        """Return the WSGI application."""

    def checking(self) -> Callable[[str], object]:
        """Return a function that checks one token, and raises where it doesn't pass."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """How one is run and asked."""

    name: str
    settings: str
    path: str
    header: str = "Authorization"
    scheme: str = ""
    # The module under `contestants`.
    module: str = ""
    # How many threads its server runs where there is a database server, and where there is none: as many as
    # it answers most with.
    threads: tuple[int, int] = (2, 1)

    @property
    def database(self) -> str:
        return "keyrack" if self.settings == KEYRACK_SETTINGS else "peers"


_AUTHORIZE: Final = "/api/v1/authorize?project=bench&resource=sources&action=read"

KEYRACK: Final = Contestant("Keyrack", KEYRACK_SETTINGS, _AUTHORIZE, scheme="Bearer ", module="keyrack")
UNCOUNTED: Final = Contestant(
    "Keyrack without activity", KEYRACK_SETTINGS, _AUTHORIZE, scheme="Bearer ", module="uncounted"
)
API_KEY: Final = Contestant(
    "djangorestframework-api-key", PEERS_SETTINGS, "/api-key", "Authorization", "Api-Key ", "api_key", (2, 1)
)
API_KEY_NEW: Final = Contestant(
    "the same in a new project, with Django's defaults", NEW_SETTINGS, "/api-key", "Authorization",
    "Api-Key ", "api_key_new",
)  # fmt: skip
KNOX: Final = Contestant(
    "django-rest-knox", PEERS_SETTINGS, "/knox", "Authorization", "Token ", "knox", (2, 1)
)
DRF_TOKEN: Final = Contestant(
    "DRF TokenAuthentication", PEERS_SETTINGS, "/drf-token", "Authorization", "Token ", "drf_token", (2, 1)
)
EMPTY: Final = Contestant(
    "an empty Django view without middleware", PEERS_SETTINGS, "/empty", module="empty", threads=(1, 1)
)
STOCK: Final = Contestant(
    "an empty Django view in a new project", STOCK_SETTINGS, "/empty", module="stock", threads=(1, 1)
)

PEERS: Final = (API_KEY, API_KEY_NEW, KNOX, DRF_TOKEN, STOCK, EMPTY)
EVERYBODY: Final = {each.module: each for each in (KEYRACK, UNCOUNTED, *PEERS)}
