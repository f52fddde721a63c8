"""Every verb that is recorded anywhere has words, and every topic a name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from django.conf import settings

from projects.models import AuditEvent
from projects.sentences import DEEDS, TOPICS, Change, changes_of, parts, sentence

pytestmark = pytest.mark.one_database

ROOT: Final = Path(settings.BASE_DIR)
_VERB: Final = re.compile(r"([a-z]+(?:_[a-z]+)*)\.[a-z]+(?:_[a-z]+)*")
# Logs of what isn't a project's own.
SITE: Final = {"person", "sealing"}


def sources() -> Iterator[tuple[Path, ast.Module]]:
    for package in ("config", "keys", "projects"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in path.parts and path.name != "sentences.py":
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def texts(node: ast.AST) -> Iterator[str]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def calls(tree: ast.Module) -> Iterator[ast.Call]:
    """Yield what writes an event: `log.record(…)`, and every function that is called `_record…`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if re.fullmatch(r"_?record(_\w+)?", name):
                yield node


def recorded() -> dict[str, str]:
    """Return every verb that the code records, with the file that does.

    Found as text in the calls that record; and wherever else a text is built as a verb, since a function may
    be handed one.
    """
    found: dict[str, str] = {}
    for path, tree in sources():
        said = {text for call in calls(tree) for text in texts(call) if _VERB.fullmatch(text)}
        said |= {text for text in texts(tree) if (verb := _VERB.fullmatch(text)) and verb[1] in TOPICS}
        found |= dict.fromkeys(said, path.relative_to(ROOT).as_posix())
    return found


def test_the_search_finds_them() -> None:
    found = recorded()
    assert found["key.issued"] == "keys/lifecycle.py"
    assert found["person.signed_in"] == "projects/signins.py"
    assert len(found) >= 22


def test_every_verb_that_is_recorded_has_words() -> None:
    assert {verb: path for verb, path in recorded().items() if verb not in DEEDS} == {}


def test_every_topic_of_a_project_has_a_name() -> None:
    assert {verb.partition(".")[0] for verb in DEEDS} == {*TOPICS, *SITE}


@pytest.mark.parametrize("verb", DEEDS)
def test_words_follow_a_name_and_have_one_place(verb: str) -> None:
    words = DEEDS[verb]
    assert words.count("{}") <= 1
    assert words == words.strip()
    assert words[0].islower()
    assert sentence(verb, "Docs crawler").count("Docs crawler") == words.count("{}")
    assert "".join(parts(verb, "x")) == words.replace("{}", "x")


def test_a_verb_without_words_is_named() -> None:
    assert sentence("key.frozen", "Docs crawler") == "key.frozen Docs crawler"


def told(verb: str, **changes: object) -> list[str]:
    return [change.text for change in changes_of(AuditEvent(verb=verb, changes=changes))]


def test_changes_are_told_before_and_after() -> None:
    assert told("member.role_changed", role=["Viewer", "Admin"]) == ["role: Viewer → Admin"]
    assert told("member.added", role=[None, "Viewer"]) == ["role: none → Viewer"]
    assert told("resource.added", actions=[[], ["read", "run"]]) == ["actions: none → read, run"]
    assert told("person.edited", is_staff=[False, True]) == ["is staff: no → yes"]
    assert told("key.edited", expires_at=[None, "2027-02-18T12:00:00+00:00"]) == [
        "expires at: none → 18 Feb 2027, 12:00 UTC"
    ]
    # What is as it was didn't change.
    assert told("upstream.selected", provider_key=["Main", "Main"], key=["a", "b"]) == ["key: a → b"]


def test_what_was_made_is_told_as_it_is() -> None:
    assert told("key.issued", type="restricted", scopes=["a:read", "b:read"], expires_at=None) == [
        "scopes: a:read, b:read", "type: restricted",
    ]  # fmt: skip
    assert told("channel.closed", keys=3) == ["keys: 3"]
    assert told("key.revoked", reason="") == []
    assert told("provider_key.created", upstreams=[None, "openai"]) == ["upstreams: none → openai"]


def test_a_change_says_both_values() -> None:
    assert Change("name", "A", "B").text == "name: A → B"
    assert Change("name", None, "B").text == "name: B"
