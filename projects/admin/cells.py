"""What a cell of a table or a fact says, and the links between the pages for staff."""

from datetime import datetime
from typing import Final

from django.urls import reverse
from django.utils.html import format_html
from django.utils.http import urlencode

from projects.models import Project
from projects.moments import Moment

NONE: Final = "—"
# Stands for the site log where a project's slug would; no slug begins with it.
SITE: Final = "-"


def said(text: str) -> str:
    """Return what somebody has typed, kept apart from the direction of what surrounds it."""
    return format_html('<bdi dir="auto">{}</bdi>', text or NONE)


def code(text: str) -> str:
    return format_html('<code dir="ltr" translate="no">{}</code>', text)


def link(url: str, text: object) -> str:
    return format_html('<a href="{}"><bdi dir="auto">{}</bdi></a>', url, text)


def when(moment: datetime | None) -> str:
    """Return a time in UTC, which the page's script puts into the reader's own."""
    if moment is None:
        return NONE
    told = Moment.of(moment)
    html = '<time datetime="{}" title="{}" data-when="absolute">{}</time>'
    return format_html(html, told.iso, told.text, told.text)


def day(moment: datetime) -> str:
    """Return the day of a time, where the hour matters little."""
    told = Moment.of(moment)
    return format_html('<time datetime="{}" title="{}">{}</time>', told.iso, told.text, told.day)


def over(first: str, second: str) -> str:
    """Return a text with a smaller one below it."""
    return format_html('{}<span class="sub"><bdi dir="auto">{}</bdi></span>', first, second)


def object_link(kind: str, address: str, text: object) -> str:
    """Return a link to the page of a row: `object_link("projects_project", "acme", "Acme")`."""
    return link(reverse(f"admin:{kind}_change", args=[address]), text)


def project_link(project: Project) -> str:
    page = object_link("projects_project", project.slug, project.name)
    return format_html('{} <span class="status">Deleted</span>', page) if project.deleted_at else page


def list_url(kind: str, **query: str) -> str:
    url = reverse(f"admin:{kind}_changelist")
    return f"{url}?{urlencode(query)}" if query else url


def is_number(text: str) -> bool:
    """Say whether `text` can be the number of a row."""
    return text.isascii() and text.isdecimal() and len(text) < 19
