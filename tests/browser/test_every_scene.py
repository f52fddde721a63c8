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
# The desktop comes last: the colours of the dark are looked at on it.
SIZES: Final = (
    ViewportSize(width=320, height=900), steps.PHONE, ViewportSize(width=768, height=900), DESKTOP,
)  # fmt: skip

# Text reaches 7:1, which axe-core asks for only if told to; its rule for 4.5:1 finds nothing beyond that.
ENHANCED: Final = "color-contrast-enhanced"
LIGHT: Final[dict[str, Any]] = {
    "resultTypes": ["violations"],
    "rules": {ENHANCED: {"enabled": True}, "color-contrast": {"enabled": False}},
    # The style sheets are fetched once more otherwise, for no rule that is on.
    "preload": {"assets": ["media"]},
}
# Colours are all that differs in the dark.
DARK: Final[dict[str, Any]] = {"resultTypes": ["violations"], "runOnly": [ENHANCED], "preload": False}

AXE: Final = """(options) => still(async () => (await axe.run(document, options)).violations.flatMap(
    ({ id, nodes }) => nodes.map((node) => `${id}: ${node.target.join(" ")}: ${node.failureSummary}`)))"""

# While axe-core looks the page stands still: how far each element scrolls is measured once. To know what lies
# behind a text axe-core asks it of all elements around it, for each text anew: a quarter of all its time.
STILL: Final = """globalThis.still = async (look) => {
    const own = ["scrollWidth", "scrollHeight", "clientWidth", "clientHeight"].map(
        (name) => [name, Object.getOwnPropertyDescriptor(Element.prototype, name)]);
    for (const [name, { get }] of own) {
        const measured = new WeakMap();
        Object.defineProperty(Element.prototype, name, { configurable: true, enumerable: true, get() {
            if (!measured.has(this)) measured.set(this, get.call(this));
            return measured.get(this);
        } });
    }
    try {
        return await look();
    } finally {
        for (const [name, descriptor] of own) Object.defineProperty(Element.prototype, name, descriptor);
    }
};"""

# Without JavaScript a page's timers don't run, and axe-core would wait for ever.
TIMERS: Final = """if (matchMedia("(scripting: none)").matches)
    window.setTimeout = (act) => { Promise.resolve().then(act); };"""

LAYOUT: Final = Path(__file__).with_name("layout.js").read_text()
# What is found on a phone and on a desktop: by axe-core, and what a finger or a mouse can miss.
TRIED: Final = {
    size["width"]: [("light", AXE, LIGHT), ("too small", "(least) => tooSmall(least)", least)]
    for size, least in ((steps.PHONE, 44), (DESKTOP, 24))
}


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
    found = list(flaws(staged))
    assert not found, "\n".join(found)


def flaws(page: Page) -> Iterator[str]:
    """What is wrong with a scene: at every width, and with text twice as large."""
    page.evaluate("\n".join((TIMERS, AXE_SCRIPT, STILL, LAYOUT)))
    for size in SIZES:
        page.set_viewport_size(size)
        where = f"{size['width']} px"
        for name, find, argument in TRIED.get(size["width"], ()):
            yield from (f"{where}, {name}: {found}" for found in page.evaluate(find, argument))
        yield from (f"{where}: {found}" for found in page.evaluate("sticksOut()"))
    # A phone shows the same colours as a desktop, so that there is nothing more to find on it in the dark.
    page.emulate_media(color_scheme="dark")
    yield from (f"{where}, dark: {found}" for found in page.evaluate(AXE, DARK))
    page.emulate_media(color_scheme="light")
    page.evaluate("document.documentElement.style.fontSize = '200%'")
    for size in reversed(SIZES):
        page.set_viewport_size(size)
        yield from (f"{size['width']} px, text at 200%: {found}" for found in page.evaluate("sticksOut()"))
    page.evaluate("document.documentElement.style.fontSize = ''")


def test_what_is_wrong_is_found_where_it_is(page: Page) -> None:
    """Else the scenes would pass because nobody looked."""
    page.evaluate(
        """() => {
            const add = (name, style) => {
                const made = Object.assign(document.createElement(name), { textContent: "x".repeat(9) });
                Object.assign(made.style, style);
                document.querySelector("main").append(made);
                return made;
            };
            add("p", { color: "#999", background: "#fff" }).id = "pale";
            add("button", { all: "unset", width: "30px", height: "30px", overflow: "hidden" });
            add("div", { width: "700px" }).setAttribute("role", "nothing");
        }"""
    )
    found = list(flaws(page))
    for place, what in (
        ("375 px, light", f"{ENHANCED}: #pale"),
        ("1280 px, light", f"{ENHANCED}: #pale"),
        ("1280 px, dark", ENHANCED),
        ("1280 px, light", "aria-roles"),
        ("375 px, too small", "<button"),
        ("320 px", "HTML"),
        ("375 px, text at 200%", "HTML"),
    ):
        assert any(line.startswith(f"{place}: {what}") for line in found), (place, what, found)
    assert not any(line.startswith("1280 px, too small") for line in found), found


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
