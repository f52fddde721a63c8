"""What holds for every page and every dialog: nobody is shut out, nothing sticks out, all can be pressed."""

import os
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pytest
from axe_core_python.base import AXE_SCRIPT
from playwright.sync_api import Page, ViewportSize, expect

from projects.models import Project, User
from tests.browser import scenes, steps
from tests.browser.conftest import Complaints, OpenContext
from tests.browser.scenes import Scene
from tests.factories import UserFactory

DESKTOP: Final = ViewportSize(width=1280, height=960)
WIDTHS: Final = (320, 375, 768, 1280)

# Text reaches 7:1, which axe-core asks for only if told to; its rule for 4.5:1 finds nothing beyond that.
ENHANCED: Final = "color-contrast-enhanced"
LIGHT: Final[dict[str, Any]] = {
    "resultTypes": ["violations"],
    "rules": {ENHANCED: {"enabled": True}, "color-contrast": {"enabled": False}},
}
# Colours are all that differs in the dark.
DARK: Final[dict[str, Any]] = {"resultTypes": ["violations"], "runOnly": [ENHANCED]}

AXE: Final = """async (options) => (await axe.run(document, options)).violations.flatMap(
    ({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary}`))"""

# Without JavaScript a page's timers don't run, and axe-core would wait for ever.
TIMERS: Final = """if (matchMedia("(scripting: none)").matches)
    window.setTimeout = (act) => { Promise.resolve().then(act); };"""

LAYOUT: Final = Path(__file__).with_name("layout.js").read_text()


@pytest.fixture
def people(project: Project, owner: User, operator: User, viewer: User, at: datetime) -> dict[str, User]:
    scenes.furnish(project, owner, operator, at)
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    return {"owner": owner, "viewer": viewer, "nobody": UserFactory(email="nobody@example.test")}


@pytest.fixture
def staged(
    request: pytest.FixtureRequest, open_context: OpenContext, people: dict[str, User], complaints: Complaints
) -> Page:
    scene: Scene = request.param
    complaints.allow(*scene.complaints)
    user = people[scene.who] if scene.who else None
    context = open_context(user, java_script_enabled=scene.javascript, reduced_motion="reduce")
    page = context.new_page()
    scene.visit(page)
    take_pictures(page, scene)
    return page


@pytest.mark.parametrize("staged", scenes.ALL, ids=lambda scene: scene.name, indirect=True)
def test_nobody_is_shut_out_and_nothing_sticks_out(staged: Page) -> None:
    found = [*violations(staged), *sticking_out(staged), *too_small(staged)]
    assert not found, "\n".join(found)


def violations(page: Page) -> Iterator[str]:
    """What axe-core finds: on a phone and on a desktop, and there in the dark too.

    A phone shows the same colours, so that there is nothing more to find on it in the dark.
    """
    page.evaluate(TIMERS)
    page.evaluate(AXE_SCRIPT)
    for size in (steps.PHONE, DESKTOP):
        page.set_viewport_size(size)
        for violation in page.evaluate(AXE, LIGHT):
            yield f"{size['width']} light: {violation}"
    page.emulate_media(color_scheme="dark")
    for violation in page.evaluate(AXE, DARK):
        yield f"{DESKTOP['width']} dark: {violation}"
    page.emulate_media(color_scheme="light")


def sticking_out(page: Page) -> Iterator[str]:
    """What is wider than it may be: at every width, and with text twice as large."""
    page.evaluate(LAYOUT)
    for scale in ("", "200%"):
        page.evaluate("(scale) => { document.documentElement.style.fontSize = scale; }", scale)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            for found in page.evaluate("sticksOut()"):
                yield f"{width} px, text at {scale or '100%'}: {found}"
    page.evaluate("document.documentElement.style.fontSize = ''")


def too_small(page: Page) -> Iterator[str]:
    """What a mouse or a finger can miss."""
    page.evaluate(LAYOUT)
    for size, least in ((DESKTOP, 24), (steps.PHONE, 44)):
        page.set_viewport_size(size)
        for found in page.evaluate(f"tooSmall({least})"):
            yield f"{size['width']} px: {found}"


def take_pictures(page: Page, scene: Scene) -> None:
    """Picture the scene into the folder that KEYRACK_SCREENSHOTS names, if it names one."""
    folder = os.environ.get("KEYRACK_SCREENSHOTS")
    if not folder:
        return
    name = re.sub(r"\W+", "-", scene.name.lower()).strip("-")
    in_dialog = page.locator("dialog[open]").count() > 0
    for size in (DESKTOP, steps.PHONE):
        page.set_viewport_size(size)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            path = Path(folder) / f"{name}-{size['width']}-{scheme}.png"
            page.screenshot(path=path, full_page=not in_dialog, animations="disabled")
    page.emulate_media(color_scheme="light")
    page.set_viewport_size(DESKTOP)


# The table of keys, on a desk and in a hand


@pytest.fixture
def table(people: dict[str, User], page: Page) -> Page:
    page.reload()
    return page


def test_a_desktop_shows_every_column_of_the_table(table: Page) -> None:
    table.set_viewport_size(DESKTOP)
    headers = steps.keys_table(table).get_by_role("columnheader")
    expect(headers).to_have_text(["Name", "Key", "Last used", "Created", "Expires", "Actions"])
    for header in headers.all()[:5]:
        expect(header).to_be_in_viewport(ratio=1)
    frame = steps.box(steps.keys_table(table))
    for link in table.get_by_role("link", name=re.compile("^Revoke ")).all():
        place = steps.box(link)
        assert place["x"] + place["width"] <= frame["x"] + frame["width"]


def test_a_phone_shows_each_row_as_a_card_with_wide_buttons(table: Page) -> None:
    table.set_viewport_size(steps.PHONE)
    row = steps.row(steps.keys_table(table), "Docs crawler")
    card = steps.box(row)
    edit, rotate, revoke = (
        steps.box(row.get_by_role("link", name=f"{verb} Docs crawler"))
        for verb in ("Edit", "Rotate", "Revoke")
    )
    # Two side by side, and the one that ends the key below them: each line takes the whole width.
    assert edit["y"] == rotate["y"] < revoke["y"]
    assert rotate["x"] + rotate["width"] - edit["x"] > 0.85 * card["width"]
    assert revoke["width"] > 0.85 * card["width"]
    assert card["height"] > 200
    assert row.locator("[data-label]").evaluate_all(
        "(cells) => cells.map((cell) => getComputedStyle(cell, '::before').content)"
    ) == [f'"{label}"' for label in ("Key", "Last used", "Created", "Expires")]
    # It is a table still, for whoever listens to it.
    expect(row.get_by_role("rowheader", name="Docs crawler")).to_be_visible()


def test_a_smuggled_script_does_not_run(page: Page, complaints: Complaints) -> None:
    """The policy of production is at work in these tests, and a breach of it would fail them."""
    complaints.allow(r"(?s).*violates the following Content Security Policy directive.*")
    page.evaluate(
        """() => { document.body.append(Object.assign(document.createElement("script"),
            { textContent: "window.smuggled = true" })); }"""
    )
    assert page.evaluate("window.smuggled") is None
    assert any("Content Security Policy" in text for text in complaints.heard)
