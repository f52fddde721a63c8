"""Pieces of pages that follow from a few words alone: rendered once for them, and then only put in."""

from functools import lru_cache

from django import template
from django.conf import settings
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

register = template.Library()


@register.simple_tag
def remembered(name: str, **words: str | bool) -> SafeString:
    """Return the template of this name, which sees these words and nothing else of the page.

    So it can't show one person what is another's. Three fifths of a page's frame are such pieces: links whose
    addresses are looked up anew each time, icons, static files.
    """
    render = _rendered.__wrapped__ if settings.DEBUG else _rendered
    return render(name, *sorted(words.items()))


@lru_cache(maxsize=1000)
def _rendered(name: str, *words: tuple[str, str | bool]) -> SafeString:
    return render_to_string(name, dict(words))
