"""Pieces of pages that are rendered once, for the words that they follow from."""

from django.template import Context, Template

from keys.templatetags.rows import _escaped


def shown(words: str, **page: str) -> str:
    text = "{% load remembered %}{% remembered 'projects/partials/rail.html' " + words + " %}"
    return Template(text).render(Context(page))


def test_it_is_another_piece_for_other_words() -> None:
    for slug, rail in (("acme", "audit"), ("globex", "audit"), ("acme", "keys"), ("acme", "audit")):
        piece = shown("slug=slug rail=rail", slug=slug, rail=rail)
        page = {"audit": "settings/audit", "keys": "settings/keys"}[rail]
        assert piece.count('aria-current="page"') == 1
        assert piece.count(f"/projects/{slug}/") == 6
        assert f'{page}/" aria-current="page"' in piece


def test_it_sees_nothing_else_of_the_page() -> None:
    assert shown("slug='acme'", rail="audit") == shown("slug='acme'") == shown("slug='acme' rail='keys'")


def test_words_are_escaped_together_as_each_alone() -> None:
    assert _escaped(["<b>", "", "a & b"]) == ["&lt;b&gt;", "", "a &amp; b"]
    # With the character that stands between them.
    assert _escaped(["a\0b", "<"]) == ["a\0b", "&lt;"]
