"""The administration in a browser: its pages keep to our policy and shut nobody out."""

import os
from datetime import datetime
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from keys.models import ProviderKey
from projects.models import Project, User
from tests.browser import scenes
from tests.browser.conftest import OpenContext
from tests.browser.test_every_scene import flaws
from tests.browser.test_leaving_no_trace import go_back
from tests.factories import UserFactory, invited

PAGES = {
    "overview": "/admin/",
    "keys": "/admin/keys/key/",
    "filtered keys": "/admin/keys/key/?project=acme&state=active",
    "no keys": "/admin/keys/key/?q=nothing-like-it",
    "projects": "/admin/projects/project/",
    "a project": "/admin/projects/project/acme/change/",
    "deleting a project": "/admin/projects/project/acme/delete/",
    "private addresses": "/admin/projects/project/acme/private/",
    "provider keys": "/admin/keys/providerkey/",
    "a provider key": "/admin/keys/providerkey/{provider_key}/change/",
    "upstreams": "/admin/keys/upstream/",
    "an upstream": "/admin/keys/upstream/acme.gpt-5/change/",
    "members": "/admin/projects/membership/",
    "adding a member": "/admin/projects/membership/add/?project=acme",
    "invitations": "/admin/projects/invitation/",
    "scopes": "/admin/projects/resource/",
    "editing a resource": "/admin/projects/resource/acme.sources/edit/",
    "channels": "/admin/projects/channel/",
    "a channel": "/admin/projects/channel/acme.support-bot/change/",
    "adding a channel": "/admin/projects/channel/add/",
    "renaming a channel": "/admin/projects/channel/acme.support-bot/rename/",
    "closing a channel": "/admin/projects/channel/acme.support-bot/close/",
    "people": "/admin/projects/user/",
    "adding a person": "/admin/projects/user/add/",
    "events": "/admin/projects/auditevent/",
    "an event": "/admin/projects/auditevent/acme.3/change/",
}


@pytest.fixture
def page(open_context: OpenContext, project: Project, owner: User, operator: User, at: datetime) -> Page:
    """Somebody of staff; whatever the browser complains about (a breach of the policy too) fails the test."""
    scenes.furnish(project, owner, operator, at)
    ines = UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)
    invited(project, owner, "otto@example.test")
    return open_context(ines, reduced_motion="reduce").new_page()


def test_its_pages_keep_to_the_policy_and_shut_nobody_out(page: Page) -> None:
    found = []
    scenes.stock()
    provider_key = ProviderKey.objects.get(name="Main OpenAI").public_id
    for name, url in PAGES.items():
        page.goto(url.format(provider_key=provider_key))
        take_picture(page, name)
        problems = list(flaws(page))
        found += [f"{name}: {problem}" for problem in problems]
    assert not found, "\n".join(found)


# Words that stand on two lines, of those that no table needs to break.
BROKEN = """() => [...document.querySelectorAll(".staff tbody th a")].flatMap((link) => {
  const text = link.firstChild.nodeType === 3 ? link.firstChild : link.firstChild.firstChild;
  return [...text.data.matchAll(/\\S{1,12}(?!\\S)/g)].filter((word) => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return word.index === text.data.lastIndexOf(" ", word.index) + 1 && range.getClientRects().length > 1;
  }).map((word) => word[0]);
})"""


def test_the_list_of_keys_has_room_for_words_and_for_its_last_column(page: Page) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(PAGES["keys"])
    expect(page.get_by_role("link", name="Weekend agent")).to_be_visible()
    assert page.evaluate(BROKEN) == []
    assert page.evaluate("document.querySelector('.tablewrap').scrollWidth") <= page.evaluate(
        "document.querySelector('.tablewrap').clientWidth"
    )


def take_picture(page: Page, name: str) -> None:
    """Picture the page into the folder that KEYRACK_SCREENSHOTS names, if it names one."""
    folder = os.environ.get("KEYRACK_SCREENSHOTS")
    for width in (1280, 375) if folder else ():
        page.set_viewport_size({"width": width, "height": 900})
        path = Path(str(folder)) / f"administration-{name.replace(' ', '-')}-{width}-light.png"
        page.screenshot(path=path, full_page=True)


def test_a_key_is_found_and_revoked_and_the_way_back_is_there(page: Page) -> None:
    page.goto("/admin/")
    page.get_by_role("navigation", name="Administration").get_by_role("link", name="Keys", exact=True).click()
    page.get_by_role("searchbox", name="Search by name or key").fill("Teams bot")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Teams bot").click()
    page.get_by_role("link", name="Revoke").click()
    confirm = page.get_by_label("Type the last 4 characters")
    confirm.fill(confirm.evaluate("(field) => field.labels[0].textContent.match(/\\((\\w{4})\\)/)[1]"))
    page.get_by_label("Reason").fill("Laptop stolen")
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Teams bot was revoked.")).to_be_visible()
    expect(page.get_by_role("main")).to_contain_text("Ines Varga: Laptop stolen")
    page.get_by_role("link", name="Back to the console").click()
    expect(page.get_by_role("heading", level=1, name="Projects")).to_be_visible()


def test_a_password_link_is_gone_once_the_page_is_left(page: Page) -> None:
    page.goto("/admin/projects/user/add/")
    page.get_by_label("Email address").fill("nora@example.test")
    page.get_by_role("button", name="Add person").click()
    link = page.get_by_role("status").filter(has_text="/password/reset/key/")
    expect(link).to_be_visible()
    secret = link.inner_text().rstrip("/").rpartition("-")[2]
    page.get_by_role("link", name="Done").click()
    expect(page.get_by_role("heading", level=1, name="nora@example.test")).to_be_visible()
    assert secret not in page.content()
    go_back(page)
    expect(page.get_by_text(secret)).to_have_count(0)
