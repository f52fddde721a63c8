"""A new key takes the place of an old one; a key is paused and resumed; a kept key is shown again."""

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from keys import recovery
from projects.audit import Actor
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, sign_in
from tests.factories import IssuedFactory, acting


@pytest.fixture
def old(project: Project, owner: User, either: Page) -> str:
    """A stored key of the owner's, on the page; its token."""
    token: str = IssuedFactory(
        project=project, name="Docs crawler", actor=acting(owner, project), confirmed=True
    ).token
    either.reload()
    return token


def works(live_server: LiveServer, token: str) -> bool:
    return steps.whoami(live_server.url, token)[0] == 200


def test_both_work_until_the_old_one_is_stopped(either: Page, live_server: LiveServer, old: str) -> None:
    either.get_by_role("link", name="Rotate Docs crawler").click()
    form = steps.panel(either, "Rotate Docs crawler")
    form.get_by_role("radio", name="7 days").check()
    form.get_by_role("button", name="Rotate key").click()
    new = steps.shown_token(either)
    assert works(live_server, new)
    assert works(live_server, old)
    steps.store(either)
    row = steps.keys_table(either).get_by_role("row").filter(has_text="works until")
    expect(row).to_contain_text(f"…{old[-4:]} works until")
    row.get_by_role("link", name="Stop old key of Docs crawler now").click()
    steps.panel(either, "Revoke Docs crawler?").get_by_role("button", name="Revoke key").click()
    expect(either.get_by_text("Docs crawler was revoked.")).to_be_visible()
    assert works(live_server, new)
    assert not works(live_server, old)


def test_whoever_comes_second_is_told_and_gets_no_key(
    either: Page, live_server: LiveServer, old: str, complaints: Complaints
) -> None:
    complaints.allow(409)
    either.get_by_role("link", name="Rotate Docs crawler").click()
    second = either.context.new_page()
    second.goto(f"{steps.KEYS}{old[8:20]}/rotate/")
    second.get_by_role("button", name="Rotate key").click()
    token = steps.shown_token(second)
    steps.panel(either, "Rotate Docs crawler").get_by_role("button", name="Rotate key").click()
    expect(either.get_by_text("This key was rotated already.")).to_be_visible()
    assert works(live_server, token)


def test_a_paused_key_stops_and_a_resumed_one_goes_on(
    either: Page, live_server: LiveServer, old: str
) -> None:
    either.goto(f"{steps.KEYS}{old[8:20]}/")
    either.get_by_role("link", name="Pause Docs crawler").click()
    steps.panel(either, "Pause Docs crawler?").get_by_role("button", name="Pause key").click()
    expect(either.get_by_text("Docs crawler is paused.")).to_be_visible()
    assert not works(live_server, old)
    either.get_by_role("button", name="Resume Docs crawler").click()
    expect(either.get_by_text("Docs crawler works again.")).to_be_visible()
    assert works(live_server, old)


def test_a_kept_key_is_shown_again_after_the_password(
    either: Page, live_server: LiveServer, project: Project, owner: User
) -> None:
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    sign_in(either.context, owner, live_server)
    recovery.set_recoverable(project, True, actor=Actor.system(), at=owner.date_joined)
    token = IssuedFactory(project=project, name="Mail bridge", actor=acting(owner, project)).token
    either.reload()
    either.get_by_role("link", name="Reveal Mail bridge").click()
    dialog = steps.panel(either, "Reveal Mail bridge")
    dialog.get_by_label("Your password").fill(steps.PASSWORD)
    dialog.get_by_role("button", name="Show key").click()
    expect(steps.secret(dialog)).to_have_text(token)
    either.get_by_role("link", name="Done").click()
    expect(either.get_by_text(token)).to_have_count(0)
