"""How the docs pages show code, JSON and the words of the OpenAPI document."""

import json
import re
from typing import Any, Final

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString, mark_safe

register = template.Library()

_LANGUAGES: Final = {
    "sh": "Shell", "python": "Python", "json": "JSON", "http": "HTTP",
    "nginx": "/etc/nginx/conf.d/keyrack.conf", "caddy": "Caddyfile", "yaml": "YAML",
}  # fmt: skip
_CODE: Final = re.compile(r"`([^`]+)`")


@register.simple_block_tag
def example(content: str, name: str, language: str) -> SafeString:
    """Show what stands in the block as code. Tests find it by `name`, and run it."""
    return format_html(
        '<figure class="example"><figcaption>{}</figcaption>'
        '<pre dir="ltr" translate="no"><code id="{}" data-language="{}">{}</code></pre></figure>',
        _LANGUAGES[language], f"example-{name}", language, mark_safe(escape(content.strip("\n"))),  # noqa: S308
    )  # fmt: skip


@register.filter
def as_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


@register.filter
def prose(text: str) -> SafeString:
    """Return a description as HTML: paragraphs, lists of lines that begin with a dash, `code`."""
    blocks = (block.strip() for block in text.split("\n\n"))
    return mark_safe("".join(_block(block) for block in blocks if block))  # noqa: S308 -- escaped below


@register.filter
def words(text: str) -> SafeString:
    """Return a line as HTML, with its `code`."""
    return mark_safe(_CODE.sub(r'<code translate="no">\1</code>', escape(text)))  # noqa: S308 -- escaped


def _block(block: str) -> str:
    if not block.startswith("- "):
        return f"<p>{words(block)}</p>"
    items = block.removeprefix("- ").split("\n- ")
    return "<ul>" + "".join(f"<li>{words(item)}</li>" for item in items) + "</ul>"
