"""Answers read as people read them: by heading, by role, by the name of a link, a button or a field.

And a visitor without JavaScript, who knows a page only by what stands on it.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import urlsplit

from django.test import Client
from django.urls import reverse
from django.utils.html import VOID_ELEMENTS

from projects.models import User

HTMX: Final = {"HX-Request": "true"}


@dataclass(eq=False)
class Node:
    """An element with what is in it."""

    tag: str
    attrs: dict[str, str]
    parent: "Node | None" = None
    children: list["Node | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What it says, with single blanks."""
        return " ".join("".join(self._texts()).split())

    @property
    def name(self) -> str:
        """Its accessible name, as far as our templates give one: a label of its own, or its text."""
        return self.attrs.get("aria-label") or self.text

    def find(self, tag: str = "", name: str | None = None, **attrs: str) -> list["Node"]:
        """Return what is inside, by tag, by accessible name and by attributes (`aria_label=`, `class_=`)."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attrs.items()}
        return [
            node
            for node in self.walk()
            if (not tag or node.tag == tag)
            and (name is None or node.name == name)
            and all(_holds(node, key, value) for key, value in wanted.items())
        ]

    def one(self, tag: str = "", name: str | None = None, **attrs: str) -> "Node":
        """Return the only such element. Raises AssertionError where there is none, or another."""
        found = self.find(tag, name, **attrs)
        assert len(found) == 1, f"{len(found)} of {tag} {name or ''} {attrs}"
        return found[0]

    def names(self, tag: str, **attrs: str) -> list[str]:
        return [node.name for node in self.find(tag, **attrs)]

    def texts(self, tag: str, **attrs: str) -> list[str]:
        return [node.text for node in self.find(tag, **attrs)]

    def walk(self) -> Iterator["Node"]:
        for child in self.children:
            if isinstance(child, Node):
                yield child
                yield from child.walk()

    def above(self, tag: str) -> "Node":
        """Return the nearest element around this one that is a `tag`."""
        node = self.parent
        while node is not None and node.tag != tag:
            node = node.parent
        assert node is not None, f"no {tag} around {self.tag} {self.name}"
        return node

    def _texts(self) -> Iterator[str]:
        for child in self.children:
            if isinstance(child, str):
                yield child
            else:
                # What stands in boxes of its own isn't one word.
                yield from child._texts() if child.tag in _INLINE else [" ", *child._texts(), " "]


_INLINE: Final = frozenset({"a", "b", "bdi", "code", "time"})


def _holds(node: Node, attribute: str, value: str) -> bool:
    given = node.attrs.get(attribute)
    return given is not None and value in (given.split() if attribute == "class" else [given])


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = self._open = Node("", {})

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {name: value or "" for name, value in attrs}, self._open)
        self._open.children.append(node)
        if tag not in VOID_ELEMENTS:
            self._open = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID_ELEMENTS:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.tag == tag, f"</{tag}> ends <{self._open.tag}> at {self.getpos()}"
        assert self._open.parent is not None
        self._open = self._open.parent

    def handle_data(self, data: str) -> None:
        self._open.children.append(data)


class Page(Node):
    """An answer in HTML: a page, or a fragment of one."""

    def __init__(self, response: Any) -> None:
        parser = _Parser()
        self.source: str = response.content.decode()
        parser.feed(self.source)
        parser.close()
        assert parser._open is parser.root, f"<{parser._open.tag}> isn't closed"
        super().__init__("", {}, None, parser.root.children)

    @property
    def is_whole(self) -> bool:
        return bool(self.find("html"))

    @property
    def title(self) -> str:
        return self.one("head").one("title").text

    @property
    def heading(self) -> str:
        """The h1 of a page; the heading of a dialog where the answer is one."""
        return (self.one("h1") if self.is_whole else self.one("h2", id="dialog-title")).text

    @property
    def content(self) -> Node:
        """What the page is about, without what surrounds it on every page."""
        return self.one("main") if self.is_whole else self

    def link(self, name: str) -> str:
        """Return where the one link of this name leads."""
        return self.one("a", name).attrs["href"]

    def problems(self) -> list[str]:
        """Return what the error summary says; empty where there is none."""
        if not self.find(id="errors"):
            return []
        summary = self.one(role="alert", id="errors")
        assert summary.one("h2").text == "There is a problem"
        return summary.texts("li")

    def error_of(self, name: str) -> list[str]:
        """Return the messages that stand beside a field."""
        return [text for box in self.find(id=f"id_{name}_error") for text in box.texts("p")]

    def messages(self) -> list[str]:
        return [box.one("p").text for box in self.find(class_="message", role="status")]

    def rows(self, caption: str) -> list[dict[str, Node]]:
        """Return the rows of the table with this caption: their cells by column."""
        tables = [table for table in self.find("table") if table.texts("caption") == [caption]]
        assert tables, f"no table “{caption}” among {self.texts('caption')}"
        head, body = tables[0].one("thead"), tables[0].one("tbody")
        columns = head.texts("th")
        return [
            dict(zip(columns, (cell for cell in row.walk() if cell.tag in ("th", "td")), strict=True))
            for row in body.find("tr")
        ]

    def form_of(self, button: str) -> "Form":
        """Return the form that a button of this name sends."""
        return Form(self, self.one("button", button).above("form"))


@dataclass(frozen=True)
class Form:
    """A form as a browser would send it."""

    page: Page
    node: Node

    @property
    def action(self) -> str:
        return self.node.attrs.get("action", "")

    @property
    def method(self) -> str:
        return self.node.attrs.get("method", "get")

    def fields(self) -> dict[str, list[str]]:
        """Return what is filled in already, hidden fields and those tied to it by `form=` included."""
        sent: dict[str, list[str]] = {}
        for control in self._controls():
            for value in _values(control):
                sent.setdefault(control.attrs["name"], []).append(value)
        return sent

    def _controls(self) -> list[Node]:
        inside = [node for node in self.node.walk() if not node.attrs.get("form")]
        tied = self.page.find(form=self.node.attrs["id"]) if "id" in self.node.attrs else []
        return [node for node in inside + tied if node.attrs.get("name")]


def _values(control: Node) -> list[str]:
    if control.tag == "textarea":
        # Browsers drop the line break that stands first in a textarea.
        return ["".join(child for child in control.children if isinstance(child, str)).removeprefix("\n")]
    if control.tag == "select":
        options = control.find("option")
        chosen = [option for option in options if "selected" in option.attrs] or options[:1]
        return [option.attrs["value"] for option in chosen]
    ticked = control.attrs.get("type") in ("checkbox", "radio")
    if control.tag == "button" or (ticked and "checked" not in control.attrs):
        return []
    return [control.attrs.get("value", "on" if ticked else "")]


class Visitor:
    """Somebody with JavaScript off. The CSRF check is on, as in a browser."""

    def __init__(self, user: User | None = None) -> None:
        self.client = Client(enforce_csrf_checks=True)
        if user:
            self.client.force_login(user)

    def visit(self, url: str) -> Page:
        return self._arrive(url, self.client.get(url))

    def follow(self, link: str) -> Page:
        return self.visit(self.page.link(link))

    def press(self, button: str, **typed: str | Sequence[str]) -> Page:
        """Fill in what is typed, leave the rest as it stands, and send the form of the button."""
        form = self.page.form_of(button)
        unknown = typed.keys() - {node.attrs["name"] for node in form._controls()}
        assert not unknown, f"the form has no {unknown}"
        data: dict[str, Any] = {**form.fields(), **typed}
        url = form.action or self.url
        if form.method == "post":
            return self._arrive(url, self.client.post(url, data))
        return self._arrive(url, self.client.get(url, data))

    def _arrive(self, url: str, response: Any) -> Page:
        if response.status_code in (302, 303):
            return self.visit(response["Location"])
        self.url, self.response = url, response
        self.page = Page(response)
        return self.page


def signed_in(user: User, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def freshen(client: Client) -> Client:
    """Let whoever is signed in have given their password a moment ago."""
    return _proven(client, time.time())


def let_half_an_hour_pass(client: Client) -> Client:
    """Let whoever is signed in have given their password, but too long ago."""
    return _proven(client, time.time() - 30 * 60 - 1)


def _proven(client: Client, at: float) -> Client:
    session = client.session
    session["account_authentication_methods"] = [{"method": "password", "at": at}]
    session["account_authentication_methods_user"] = session["_auth_user_id"]
    session.save()
    return client


def url_of(name: str, *args: str) -> str:
    """Return a URL of the project of the tests (“Acme”)."""
    return reverse(name, args=["acme", *args])


def path_and_query(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    pairs = [pair.partition("=") for pair in parts.query.split("&") if pair]
    return parts.path, {name: value for name, _, value in pairs}
