"""What a person does in the console, found as a person finds it: by role and name."""

import http.client
import json
from typing import Final

from django.conf import settings
from django.test import Client
from playwright.sync_api import FloatRect, Locator, Page, ViewportSize, expect

from tests.web import pages

KEYS: Final = "/projects/acme/settings/keys/"
CHANNELS: Final = "/projects/acme/settings/channels/"
AGENTS: Final = f"{KEYS}agents/"
MEMBERS: Final = "/projects/acme/settings/members/"
PROVIDERS: Final = "/projects/acme/settings/providers/"
AUDIT: Final = "/projects/acme/settings/audit/"
GENERAL: Final = "/projects/acme/settings/general/"
PHONE: Final = ViewportSize(width=375, height=812)
PASSWORD: Final = "correct horse battery"


def panel(page: Page, name: str) -> Locator:
    """The dialog of that name, or without JavaScript the page of that name."""
    dialog = page.get_by_role("dialog", name=name, exact=True)
    titled = page.get_by_role("main").filter(has=page.get_by_role("heading", level=1, name=name, exact=True))
    return dialog.or_(titled)


def open_account_menu(page: Page) -> None:
    # Playwright knows no role for a summary.
    page.get_by_role("navigation", name="Main").locator("summary").filter(has_text="Account:").click()


def open_create(page: Page) -> Locator:
    page.get_by_role("link", name="Create API key").click()
    form = panel(page, "Create API key")
    expect(form).to_be_visible()
    return form


def fill(form: Locator, name: str, *scopes: str) -> None:
    """Fill the form of a new key: a restricted one, unless the type was chosen before."""
    form.get_by_label("Key name").fill(name)
    for scope in scopes:
        form.get_by_role("checkbox", name=scope, exact=True).check()


def generate(page: Page, name: str = "Docs crawler", *scopes: str) -> str:
    """Make a restricted key up to the secret's being shown, and return its token."""
    form = open_create(page)
    fill(form, name, *(scopes or ("Sources: read",)))
    form.get_by_role("button", name="Generate").click()
    return shown_token(page)


def unfold_scopes(page: Page) -> None:
    # Playwright knows no role for a summary.
    page.locator(".panel summary").filter(has_text="Scopes").click()


def secret(once: Locator) -> Locator:
    return once.get_by_role("status").filter(has_text="kr_")


def shown_token(page: Page) -> str:
    once = panel(page, "Copy your key now")
    expect(secret(once)).to_be_visible()
    return secret(once).inner_text()


def store(page: Page) -> None:
    """Say “I've stored it”, and come back to the list."""
    panel(page, "Copy your key now").get_by_role("button", name="I've stored it").click()
    expect(page.get_by_role("heading", level=1, name="API keys")).to_be_visible()
    expect(page.get_by_role("dialog")).to_be_hidden()


def keys_table(page: Page) -> Locator:
    return page.get_by_role("table", name="Project API keys")


def revoked_table(page: Page) -> Locator:
    return page.get_by_role("table", name="Revoked API keys")


def row(table: Locator, name: str) -> Locator:
    """The row of a key, found by its row header's link."""
    return table.get_by_role("row").filter(has=table.page.get_by_role("link", name=name, exact=True))


def whoami(base: str, token: str) -> tuple[int, dict[str, object]]:
    """Present a token over HTTP, as a script does; return the status and the document."""
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=60)
    try:
        connection.request("GET", "/api/v1/whoami", headers={"Authorization": f"Bearer {token}"})
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def sign_in(page: Page, email: str, password: str = PASSWORD) -> None:
    page.get_by_label("Email address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def freshen(page: Page) -> None:
    """Let whoever is signed in have given their password a moment ago: `conftest.sign_in` asks for none."""
    client, name = Client(), settings.SESSION_COOKIE_NAME
    (cookie,) = (each["value"] for each in page.context.cookies() if each["name"] == name)
    client.cookies[name] = cookie
    pages.freshen(client)


def box(element: Locator) -> FloatRect:
    """Return where an element stands. Fails where it isn't shown."""
    rectangle = element.bounding_box()
    assert rectangle is not None, f"{element} isn't shown"
    return rectangle


def stop_clock(page: Page) -> None:
    """Stop the page's time: what shows for a moment shows until `page.clock.run_for` or `resume`."""
    page.clock.install()
    page.clock.pause_at(page.evaluate("Date.now()") + 1000)


def confirm_password(page: Page) -> None:
    """Type the password where the form asks for it again."""
    field = page.get_by_label("Your password")
    if field.count():
        field.fill(PASSWORD)


def fill_invitation(page: Page, email: str, role: str) -> None:
    form = panel(page, "Invite member")
    form.get_by_label("Email address").fill(email)
    form.get_by_role("radio", name=role).check()
    confirm_password(page)


def invite(page: Page, email: str, role: str) -> str:
    """Invite somebody from the members page, and return the link that is shown."""
    page.get_by_role("link", name="Invite member").click()
    expect(panel(page, "Invite member")).to_be_visible()
    fill_invitation(page, email, role)
    page.get_by_role("button", name="Invite").click()
    return shown_link(page)


def shown_link(page: Page) -> str:
    link = panel(page, "Copy the invitation link").get_by_role("status").filter(has_text="/invitations/")
    expect(link).to_be_visible()
    return link.inner_text()


def remove_member(page: Page, name: str) -> None:
    page.get_by_role("link", name=f"Remove {name}").click()
    expect(panel(page, f"Remove {name}?")).to_be_visible()
    confirm_password(page)
    page.get_by_role("button", name="Remove member").click()
    expect(page.get_by_text(f"{name} was removed.")).to_be_visible()
