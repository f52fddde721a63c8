"""One name everywhere: the view, its URL, its template and its tests. One search finds a feature."""

from pathlib import Path
from types import ModuleType
from typing import Final

import pytest
from django.conf import settings
from django.urls import URLPattern

import keys.urls
import projects.urls

pytestmark = pytest.mark.one_database

ROOT: Final = Path(settings.BASE_DIR)

# Views that show no page of their own, and what they answer with.
NO_PAGE: Final = {
    "home": "a redirect",
    "key_search": "the list",
    "agent_search": "the list",
    "key_confirm": "the list",
    "key_resume": "the list",
    "key_env": "a file",
    "invitation_mine": "the page of the invitation",
    "provider_key_search": "the list",
    "recovery_codes_download": "a file",
    "recovery_codes_saved": "a redirect",
    "audit_filter": "the log",
    "audit_csv": "a file",
}
# Templates that no URL is called after, and who shows them.
NO_URL: Final = {
    "keys/key_once.html": "key_create and key_renew, to the POST that made a secret",
    "keys/key_conflict.html": "every verb that came too late",
    "keys/channel_conflict.html": "every verb on a channel that was closed meanwhile",
    "keys/invitation_link.html": "member_invite and invitation_renew, to the POST that made a link",
    "keys/member_conflict.html": "every verb on members and invitations that came too late",
    "projects/invitation_closed.html": "invitation and invitation_mine, where it lets nobody in",
    "keys/provider_conflict.html": "provider_key_edit and upstream_select, where somebody came too late",
    "projects/recovery_codes.html": "second_factor_activate and recovery_codes_make, to the POST",
    "projects/settings.html": "what the pages of a project's settings extend",
}


def console(urls: ModuleType) -> list[URLPattern]:
    """Return the URLs of an application that lead to its pages, without the JSON API and the docs."""
    views = urls.__name__.replace(".urls", ".views")
    return [
        entry
        for entry in urls.urlpatterns
        if isinstance(entry, URLPattern) and entry.callback.__module__.startswith(views)
    ]


PAGES: Final = [
    *(("keys", entry) for entry in console(keys.urls)),
    *(("projects", entry) for entry in console(projects.urls)),
]
NAMES: Final = [str(entry.name) for _, entry in PAGES]


def test_the_console_has_pages() -> None:
    assert len(PAGES) >= 11


@pytest.mark.parametrize(("application", "entry"), PAGES, ids=NAMES)
def test_a_url_is_called_as_its_view(application: str, entry: URLPattern) -> None:
    assert entry.callback.__name__ == entry.name


@pytest.mark.parametrize(("application", "entry"), PAGES, ids=NAMES)
def test_a_page_is_called_as_its_url(application: str, entry: URLPattern) -> None:
    template = ROOT / "templates" / application / f"{entry.name}.html"
    assert template.is_file() is (entry.name not in NO_PAGE)


@pytest.mark.parametrize(("application", "entry"), PAGES, ids=NAMES)
def test_a_url_has_tests_of_its_name(application: str, entry: URLPattern) -> None:
    assert (ROOT / "tests" / "web" / f"test_{entry.name}.py").is_file()


def test_a_template_is_called_as_a_url_or_listed() -> None:
    templates = {
        path.relative_to(ROOT / "templates").as_posix()
        for application in ("keys", "projects")
        for path in (ROOT / "templates" / application).glob("*.html")
    }
    pages = {f"{application}/{entry.name}.html" for application, entry in PAGES} & templates
    assert templates - pages == set(NO_URL)


def test_the_lists_of_exceptions_name_nothing_that_is_gone() -> None:
    assert set(NO_PAGE) <= set(NAMES)
    assert all((ROOT / "templates" / name).is_file() for name in NO_URL)
