"""Templates hold nothing that the Content-Security-Policy forbids; the lint sees what it must."""

import importlib.util
from pathlib import Path

import pytest

pytestmark = pytest.mark.one_database

_spec = importlib.util.spec_from_file_location("template_lint", Path(__file__).with_name("template_lint.py"))
assert _spec is not None
assert _spec.loader is not None
template_lint = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(template_lint)


def test_every_template_passes() -> None:
    bad = [
        f"{path}:{line}: {what}"
        for path in sorted(template_lint.TEMPLATES.rglob("*.html"))
        for line, what in template_lint.findings(path.read_text(encoding="utf-8"))
    ]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("markup", "what"),
    [
        ('<p style="color: red">', "style="),
        ("<p {% if a %}style='color: red'{% endif %}>", "style="),
        ('<a onclick="go()">', "onclick="),
        ('<a ONLOAD="go()">', "onload="),
        ('<a hx-on:click="go()">', "hx-on:click"),
        ('<a data-hx-on--load="go()">', "hx-on--load"),
        ('<a href="javascript:go()">', "href"),
        ("""<a hx-vals='js:{"a": go()}'>""", "hx-vals"),
        ('<a hx-headers="javascript: {a: go()}">', "hx-headers"),
        ('<a hx-vars="a:go()">', "hx-vars"),
        ("<input hx-trigger=\"keyup[key=='Enter']\">", "filter"),
        ("<script>go()</script>", "inline <script>"),
        ("<script src='a.js'>go()</script>", "code inside"),
        ("<style>p {}</style>", "inline <style>"),
        ("<script src='https://elsewhere.test/a.js'></script>", "another host"),
    ],
)
def test_it_refuses_what_the_browser_would_have_to_eval(markup: str, what: str) -> None:
    found = list(template_lint.findings(f"<div>\n{markup}\n</div>"))
    assert found
    assert all(line == 2 for line, _ in found)
    assert any(what in text for _, text in found)


@pytest.mark.parametrize(
    "markup",
    [
        '<a hx-get="/new/" hx-target="#dialog" hx-trigger="input changed delay:300ms, submit">',
        """<form hx-vals='{"once": "1"}'>""",
        '<script src="{% static \'js/console.js\' %}" type="module"></script>',
        "{# never style= or <script> #}{% comment %}<p style='a'>{% endcomment %}",
        '<p data-when="relative" class="{% if a > 1 %}on{% endif %}">once upon on=</p>',
        '<a href="https://elsewhere.test/">',
    ],
)
def test_it_lets_plain_markup_pass(markup: str) -> None:
    assert list(template_lint.findings(markup)) == []


def test_it_names_the_line_of_an_attribute_in_a_long_tag() -> None:
    found = list(template_lint.findings('<a href="/"\n   class="b"\n   onclick="go()">'))
    assert found == [(3, "inline onclick=")]


def test_it_runs_as_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "page.html").write_text("<p>\n<b style='a'>", encoding="utf-8")
    assert template_lint.main([str(tmp_path)]) == 1
    assert capsys.readouterr().out == f"{tmp_path / 'page.html'}:2: inline style=\n"
