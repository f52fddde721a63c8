"""Refuses in templates what the Content-Security-Policy forbids or what htmx would have to eval.

`python tests/meta/template_lint.py [folder …]` prints one line per finding, `file:line: what`, and
exits with 1 where there is any. With eval off, htmx doesn't refuse a trigger filter: it ignores the
filter and sends the request anyway. So a mistake here would not show as an error in the browser.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Final, NamedTuple

TEMPLATES: Final = Path(__file__).resolve().parents[2] / "templates"

# Django's tags, variables and comments, and block comments with all they hold.
_DJANGO: Final = re.compile(
    r"\{%\s*comment\b.*?%\}.*?\{%\s*endcomment\s*%\}|\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}", re.DOTALL
)
_EVALUATED: Final = re.compile(r"\s*(?:javascript|js)\s*:", re.IGNORECASE)
_ELSEWHERE: Final = re.compile(r"\s*(?:https?:)?//", re.IGNORECASE)
_FETCHED: Final = frozenset({"script", "link", "img", "iframe", "source", "embed", "use"})


class Finding(NamedTuple):
    """One thing that a template must not hold."""

    line: int
    what: str


class _Reader(HTMLParser):
    """Collects the findings of one template, already blanked of Django's own syntax."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.findings: list[Finding] = []
        self._script_since = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        if tag == "script" and "src" not in names:
            self._find("inline <script>")
        if tag == "style":
            self._find("inline <style>")
        for name, value in attrs:
            what = _fault(tag, name.removeprefix("data-"), value or "")
            if what:
                self._find(what, name)

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script" and data.strip():
            self._find("code inside <script>")

    def _find(self, what: str, attribute: str = "") -> None:
        """Note a finding, on the attribute's own line where a tag spans several."""
        line = self.getpos()[0]
        text = (self.get_starttag_text() or "").lower()
        if attribute:
            line += text[: max(text.find(attribute), 0)].count("\n")
        self.findings.append(Finding(line, what))


def _fault(tag: str, name: str, value: str) -> str:
    """Say what is wrong with an attribute, or nothing."""
    if name == "style":
        return "inline style="
    if name.startswith("hx-on"):
        return f"{name}: htmx would eval it"
    if re.fullmatch(r"on[a-z]+", name):
        return f"inline {name}="
    if _EVALUATED.match(value) or name == "hx-vars":
        return f"{name}: an expression to eval"
    if name == "hx-trigger" and "[" in value:
        return "hx-trigger with a filter [..]: htmx would ignore it and send the request"
    if tag in _FETCHED and name in {"src", "href"} and _ELSEWHERE.match(value):
        return f"<{tag} {name}> from another host"
    return ""


def findings(text: str) -> Iterator[Finding]:
    """Yield what is wrong in a template's text, by line."""
    reader = _Reader()
    # Blanked and not cut out, so that lines keep their numbers.
    reader.feed(_DJANGO.sub(lambda found: re.sub(r"[^\n]", " ", found.group()), text))
    reader.close()
    yield from sorted(reader.findings)


def main(folders: list[str]) -> int:
    """Print every finding below the folders (default: templates/). Return 1 where there is any."""
    found = False
    for folder in folders or [str(TEMPLATES)]:
        for path in sorted(Path(folder).rglob("*.html")):
            for line, what in findings(path.read_text(encoding="utf-8")):
                found = True
                print(f"{path}:{line}: {what}")
    return int(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
