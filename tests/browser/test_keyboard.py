"""By keyboard alone; and the focus is somewhere sensible after everything that changes the page."""

from playwright.sync_api import Locator, Page, expect

from projects.models import Project
from tests.browser import steps
from tests.factories import IssuedFactory

ENOUGH = 60


def tab_to(page: Page, element: Locator) -> None:
    """Press Tab until the element has the focus."""
    for _ in range(ENOUGH):
        page.keyboard.press("Tab")
        if element.count() and element.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"Tab doesn't reach {element}")


def focus_is_visible(page: Page) -> bool:
    """Say whether something has the focus and shows it by an outline."""
    return bool(
        page.evaluate(
            "document.activeElement !== document.body"
            " && getComputedStyle(document.activeElement).outlineStyle !== 'none'"
        )
    )


def test_the_first_stop_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Create API key")).to_be_focused()


def test_a_key_is_made_and_ended_without_a_mouse(page: Page, project: Project) -> None:
    IssuedFactory(project=project, name="Teams bot", confirmed=True)
    page.reload()
    tab_to(page, page.get_by_role("link", name="Create API key"))
    page.keyboard.press("Enter")
    form = steps.panel(page, "Create API key")
    expect(form.get_by_role("radio", name="Restricted key")).to_be_focused()
    tab_to(page, form.get_by_role("checkbox", name="Sources: read", exact=True))
    page.keyboard.press("Space")
    assert focus_is_visible(page)
    tab_to(page, form.get_by_label("Key name"))
    page.keyboard.type("Docs crawler")
    page.keyboard.press("Enter")
    once = steps.panel(page, "Copy your key now")
    expect(once.get_by_role("button", name="Copy key")).to_be_focused()
    tab_to(page, once.get_by_role("button", name="I've stored it"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Docs crawler", exact=True)).to_be_focused()
    assert focus_is_visible(page)
    tab_to(page, page.get_by_role("link", name="Revoke Docs crawler"))
    page.keyboard.press("Enter")
    asked = steps.panel(page, "Revoke Docs crawler?")
    expect(asked.get_by_role("link", name="Keep key")).to_be_focused()
    tab_to(page, asked.get_by_role("button", name="Revoke key"))
    page.keyboard.press("Space")
    expect(page.get_by_role("link", name="Teams bot", exact=True)).to_be_focused()
    assert focus_is_visible(page)


def test_closing_the_form_gives_the_focus_back(page: Page) -> None:
    create = page.get_by_role("link", name="Create API key")
    create.press("Enter")
    form = steps.panel(page, "Create API key")
    expect(form).to_be_visible()
    page.keyboard.press("Escape")
    expect(form).to_be_hidden()
    expect(create).to_be_focused()
    create.press("Enter")
    form.get_by_text("Cancel").press("Enter")
    expect(form).to_be_hidden()
    expect(create).to_be_focused()


def test_escape_closes_a_menu_and_stays_at_it(page: Page) -> None:
    summary = page.locator("summary").filter(has_text="Account:")
    summary.press("Enter")
    out = page.get_by_role("button", name="Sign out")
    expect(out).to_be_visible()
    out.focus()
    page.keyboard.press("Escape")
    expect(out).to_be_hidden()
    expect(summary).to_be_focused()


def test_the_arrows_choose_the_type(page: Page) -> None:
    form = steps.open_create(page)
    page.keyboard.press("ArrowUp")
    expect(form.get_by_role("radio", name="Locked-down viewer key")).to_be_checked()
    page.keyboard.press("Tab")
    expect(form.get_by_role("link", name="Agent key")).to_be_focused()
    page.keyboard.press("Tab")
    expect(form.get_by_role("link", name="Channels")).to_be_focused()
    page.keyboard.press("Tab")
    expect(form.get_by_label("Key name")).to_be_focused()


def test_sorting_keeps_the_focus_on_the_column(page: Page) -> None:
    page.get_by_role("columnheader", name="Name").get_by_role("link").press("Enter")
    expect(page.get_by_role("columnheader", name="Name")).to_have_attribute("aria-sort", "ascending")
    expect(page.get_by_role("columnheader", name="Name").get_by_role("link")).to_be_focused()


def test_typing_a_search_keeps_the_focus_in_it(page: Page) -> None:
    search = page.get_by_role("searchbox", name="Search by name or key")
    search.press_sequentially("zzz")
    expect(page.get_by_text("No keys match “zzz”.")).to_be_visible()
    expect(search).to_be_focused()


def test_turning_a_page_leads_to_the_table(page: Page, project: Project) -> None:
    for number in range(60):
        IssuedFactory(project=project, name=f"Integration {number:02}")
    page.reload()
    following = page.get_by_role("navigation", name="Pagination").get_by_role("link", name="Next")
    following.press("Enter")
    expect(page.get_by_role("link", name="Automator Key", exact=True)).to_be_visible()
    # The focus comes a moment after the rows.
    page.wait_for_function("document.activeElement !== document.body")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('table') !== null")
