"""What the tests of the administration share: somebody of staff, and all its pages."""

from collections.abc import Iterator
from urllib.parse import urljoin, urlsplit

from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from tests.web.pages import Page

ADMIN = "/admin/"


def crawled(client: Client, start: str = ADMIN, most: int = 300) -> dict[str, Page]:
    """Follow every link from the first page on, within the administration. Each must be a page."""
    pages: dict[str, Page] = {}
    waiting = [start]
    while waiting:
        url = waiting.pop()
        if url in pages:
            continue
        response = client.get(url)
        assert response.status_code == 200, f"{response.status_code} at {url}"
        pages[url] = page = Page(response)
        assert len(pages) < most, "it never ends"
        waiting += list(_links(page, url))
    return pages


def _links(page: Page, url: str) -> Iterator[str]:
    for link in page.find("a"):
        target = urlsplit(urljoin(url, link.attrs["href"]))
        # Each filter by itself: all of them together are a product.
        if target.path.startswith(ADMIN) and target.query.count("=") <= 1:
            yield target.path + (f"?{target.query}" if target.query else "")


def routes() -> dict[str, str]:
    """Return the addresses of the administration by the names of their URLs, with a made-up row."""
    (resolver,) = (
        each for each in get_resolver().url_patterns if getattr(each, "namespace", None) == "admin"
    )
    assert isinstance(resolver, URLResolver)
    return dict(_routes(resolver, ADMIN))


def _routes(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, str]]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from _routes(pattern, prefix + str(pattern.pattern))
        elif isinstance(pattern, URLPattern) and pattern.name and "(" not in str(pattern.pattern):
            yield pattern.name, prefix + str(pattern.pattern).replace("<str:object_id>", "acme")
