"""What an operation of the JSON API is: what it does, and what the OpenAPI document says of it.

The two stand side by side, and the document is made of them: it can't say what isn't so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpResponse
from pydantic import BaseModel

from keys.problems import ProblemType

View = Callable[..., HttpResponse]


@dataclass(frozen=True, slots=True)
class About:
    """What the document says of an operation.

    `takes` are the names of request headers, `gives` those of answer headers, besides the ones that all
    have; `may_give` those of some answers. `empty` is an answer without a body. `problems` are those of its
    own: what follows from a key, a query or a body is added by itself, but for `never`.
    """

    name: str
    summary: str
    text: str
    answer: Any
    says: str
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    body_optional: bool = False
    form: type[BaseModel] | None = None
    takes: tuple[str, ...] = ()
    gives: tuple[str, ...] = ()
    may_give: tuple[str, ...] = ()
    problems: tuple[ProblemType, ...] = ()
    never: tuple[ProblemType, ...] = ()
    any_key: bool = False
    asks_database: bool = True
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one URL; `scope` is what the key of the caller needs."""

    act: View
    about: About
    scope: str = ""

    @property
    def needs_key(self) -> bool:
        return bool(self.scope) or self.about.any_key
