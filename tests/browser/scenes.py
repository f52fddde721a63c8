"""Every page and every dialog of the console, each reached as a person reaches it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Final

import pytest
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.urls import reverse
from playwright.sync_api import Page, expect

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import Key, KeyActivity
from keys.permissions import KeyActor
from projects import second_factor as factors
from projects.lifecycle import create_project
from projects.models import Project, Role, User
from tests.authenticator import App, enrol
from tests.browser import steps
from tests.factories import IssuedFactory, MembershipFactory, ProjectFactory, acting

LONG_NAME: Final = ("Überprüfungsschnittstellenübersetzer" * 3)[:100]
RTL_NAME: Final = "مزامنة مركز المساعدة"

Visit = Callable[[Page], None]


@dataclass(frozen=True, slots=True)
class Scene:
    """A state of the console: who sees it, how to come there, and what the browser complains about."""

    name: str
    visit: Visit
    who: str | None = "owner"
    complaints: tuple[str | int, ...] = field(default=())
    # Only where a person without JavaScript sees something else.
    javascript: bool = True


ALL: Final[list[Scene]] = []


def scene(
    name: str, *, who: str | None = "owner", complaints: tuple[str | int, ...] = (), javascript: bool = True
) -> Callable[[Visit], Visit]:
    """Add a function that leads a page to a scene."""

    def add(visit: Visit) -> Visit:
        ALL.append(Scene(name, visit, who, complaints, javascript))
        return visit

    return add


def furnish(project: Project, owner: User, operator: User, at: datetime) -> None:
    """Fill the project: every type, every status, names that are hard to place, and keys that have ended."""

    def make(name: str, days_ago: float, by: User = owner, **draft: object) -> Key:
        made = {"confirmed": True, "at": at - timedelta(days=days_ago), "actor": acting(by, project)} | draft
        key: Key = IssuedFactory(project=project, name=name, **made).key
        return key

    everywhere = [scope for resource in project.catalogue() for scope in resource.scopes()][:9]
    used(make("Zendesk sync", 8, type=KeyType.PRIVILEGED, expires_at=at + timedelta(days=82)), at, seconds=41)
    used(make("Teams bot", 49, type=KeyType.VIEWER), at, minutes=2)
    soon = make(
        "Docs crawler",
        54,
        operator,
        expires_at=at + timedelta(days=6),
        scopes=["sources:read", "sources:write"],
    )
    used(soon, at, days=5)
    make("Nightly export", 40, operator, environment="test", expires_at=NEVER_EXPIRES)
    make("Billing webhooks", 0.1, scopes=everywhere, confirmed=False, note="For the till\nin the shop")
    make("Old poller", 40, operator, expires_at=at - timedelta(days=10))
    make(LONG_NAME, 3)
    make(RTL_NAME, 2)
    for name, days_ago, reason in (
        ("Old Zendesk sync", 8, "Replaced by Zendesk sync"),
        ("Contractor laptop", 22, ""),
        (LONG_NAME[:-1], 20, LONG_NAME),
    ):
        key = make(name, 50, type=KeyType.VIEWER)
        ended = at - timedelta(days=days_ago)
        lifecycle.revoke(project, key.key_id, actor=acting(operator, project), at=ended, reason=reason)


def used(key: Key, at: datetime, **ago: float) -> None:
    KeyActivity.objects.filter(key=key).update(
        last_used_at=at - timedelta(**ago), last_used_client="curl", last_used_address="192.0.2.41"
    )


def key_id(name: str) -> str:
    return str(Key.objects.get(name=name, project__slug="acme").key_id)


def at_key(page: Page, name: str, verb: str = "") -> None:
    page.goto(f"{steps.KEYS}{key_id(name)}/{verb}")


def settled(page: Page, name: str) -> None:
    """Wait until a dialog or a page stands, with its heading."""
    expect(steps.panel(page, name)).to_be_visible()
    page.evaluate("Promise.all(document.getAnimations().map((animation) => animation.finished))")


# Account


@scene("sign in", who=None)
def sign_in(page: Page) -> None:
    page.goto("/account/login/")


@scene("sign in refused", who=None, complaints=(422,))
def sign_in_refused(page: Page) -> None:
    page.goto("/account/login/")
    steps.sign_in(page, "mara@example.test", "not this one")
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("sign out")
def sign_out(page: Page) -> None:
    page.goto("/account/logout/")


@scene("signed out", who="owner")
def signed_out(page: Page) -> None:
    page.goto("/account/logout/")
    page.get_by_role("main").get_by_role("button", name="Sign out").click()
    expect(page).to_have_title("Sign in · Keyrack")


@scene("change password")
def change_password(page: Page) -> None:
    page.goto("/account/password/change/")


@scene("change password refused", complaints=(422,))
def change_password_refused(page: Page) -> None:
    page.goto("/account/password/change/")
    page.get_by_role("main").get_by_role("button", name="Change password").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("confirm it's you")
def reauthenticate(page: Page) -> None:
    page.goto("/account/reauthenticate/?next=/projects/")


def password_link() -> str:
    owner = User.objects.get(email="mara@example.test")
    key = default_token_generator.make_token(owner)
    return reverse("account_reset_password_from_key", args=[user_pk_to_url_str(owner), key])


@scene("set a new password", who=None)
def set_password(page: Page) -> None:
    page.goto(password_link())
    expect(page.get_by_role("heading", level=1, name="Set a new password")).to_be_visible()


@scene("password set", who=None)
def password_set(page: Page) -> None:
    set_password(page)
    for field_ in page.locator("input[type=password]").all():
        field_.fill("quartz lantern 77")
    page.get_by_role("button", name="Set password").click()
    expect(page.get_by_role("heading", level=1, name="Password set")).to_be_visible()


@scene("broken password link", who=None)
def broken_link(page: Page) -> None:
    page.goto("/account/password/reset/key/1-nothing/")


# The second factor


FACTOR: Final = "/account/second-factor/"


def the_owner() -> User:
    return User.objects.get(email="mara@example.test")


def sign_in_fresh(page: Page) -> None:
    page.goto("/account/login/")
    steps.sign_in(page, "mara@example.test")
    expect(page).to_have_title("API keys · Acme · Keyrack")


@scene("second factor")
def second_factor(page: Page) -> None:
    page.goto(FACTOR)


@scene("second factor refused", complaints=(422,))
def second_factor_refused(page: Page) -> None:
    page.goto(FACTOR)
    page.get_by_role("button", name="Set up an app").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("second factor, required")
def second_factor_led(page: Page) -> None:
    Project.objects.filter(slug="acme").update(require_second_factor=True)
    page.goto(steps.KEYS)
    expect(page.get_by_text("opens only to members")).to_be_visible()


@scene("second factor, set up an app", who=None)
def set_up_app(page: Page) -> None:
    sign_in_fresh(page)
    page.goto(FACTOR)
    page.get_by_role("button", name="Set up an app").click()
    expect(page.get_by_role("img", name="QR code for your authenticator app")).to_be_visible()


@scene("second factor, set up an app by typing", who=None)
def set_up_app_typing(page: Page) -> None:
    set_up_app(page)
    page.locator("summary").filter(has_text="Can't scan it?").click()
    expect(page.get_by_role("button", name="Copy key")).to_be_visible()


@scene("second factor, set up an app refused", who=None, complaints=(422,))
def set_up_app_refused(page: Page) -> None:
    set_up_app(page)
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("recovery codes", who=None)
def recovery_codes(page: Page) -> None:
    set_up_app(page)
    app = App(page.locator("#setup-key").text_content() or "")
    page.get_by_label("Code", exact=True).fill(app.code())
    page.get_by_role("button", name="Turn on").click()
    expect(page.get_by_role("heading", level=1, name="Save your recovery codes")).to_be_visible()


@scene("second factor, on")
def second_factor_on(page: Page) -> None:
    enrol(the_owner())
    factors.mark_saved(the_owner())
    page.goto(FACTOR)


@scene("second factor, on, codes not saved")
def second_factor_unsaved(page: Page) -> None:
    enrol(the_owner())
    page.goto(f"{FACTOR}?next=/projects/")
    expect(page.get_by_text("You haven't said that you saved")).to_be_visible()


@scene("second factor, off?")
def second_factor_off(page: Page) -> None:
    enrol(the_owner())
    Project.objects.filter(slug="acme").update(require_second_factor=True)
    page.goto(f"{FACTOR}off/")


@scene("second factor, off? refused", complaints=(422,))
def second_factor_off_refused(page: Page) -> None:
    second_factor_off(page)
    page.get_by_label("Or a code").fill("000000")
    page.get_by_role("button", name="Turn off").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("new recovery codes")
def recovery_codes_make(page: Page) -> None:
    enrol(the_owner())
    page.goto(f"{FACTOR}codes/")


@scene("sign in, a code", who=None)
def sign_in_code(page: Page) -> None:
    enrol(the_owner())
    page.goto("/account/login/")
    steps.sign_in(page, "mara@example.test")
    expect(page.get_by_role("heading", level=1, name="Enter a code")).to_be_visible()


@scene("sign in, a code refused", who=None, complaints=(422,))
def sign_in_code_refused(page: Page) -> None:
    sign_in_code(page)
    page.get_by_label("Code", exact=True).fill("000000")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("confirm it's you by a code")
def reauthenticate_code(page: Page) -> None:
    enrol(the_owner())
    page.goto("/account/reauthenticate/code/?next=/projects/")
    expect(page.get_by_role("link", name="Use your password instead")).to_be_visible()


@scene("no password", who="viewer")
def password_missing(page: Page) -> None:
    page.goto("/account/password/change/")
    expect(page.get_by_role("heading", level=1, name="Your account has no password")).to_be_visible()


REQUIRED: Final = "/projects/acme/settings/second-factor/"


@scene("require a second factor")
def second_factor_required(page: Page) -> None:
    enrol(the_owner())
    page.goto(REQUIRED)


@scene("require a second factor, without one")
def second_factor_required_without(page: Page) -> None:
    page.goto(REQUIRED)


@scene("require a second factor refused", complaints=(422,), javascript=False)
def second_factor_required_refused(page: Page) -> None:
    second_factor_required(page)
    page.get_by_role("button", name="Require it").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("stop requiring a second factor")
def second_factor_required_off(page: Page) -> None:
    enrol(the_owner())
    Project.objects.filter(slug="acme").update(require_second_factor=True)
    page.goto(REQUIRED)


# Projects


@scene("projects")
def projects(page: Page) -> None:
    page.goto("/projects/")


@scene("projects, a search")
def projects_search(page: Page) -> None:
    owner = User.objects.get(email="mara@example.test")
    for number in range(13):
        MembershipFactory(project=ProjectFactory(name=f"Customer {number}"), user=owner)
    page.goto("/projects/")
    page.get_by_label("Search projects by name").fill("zzz")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No projects match")).to_be_visible()


@scene("no projects", who="nobody")
def no_projects(page: Page) -> None:
    page.goto("/projects/")


@scene("create project")
def project_create(page: Page) -> None:
    page.goto("/projects/new/")


@scene("create project refused", complaints=(422,))
def project_create_refused(page: Page) -> None:
    page.goto("/projects/new/")
    page.get_by_role("main").get_by_role("button", name="Create project").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


# The list of keys


@scene("keys")
def keys(page: Page) -> None:
    page.goto(steps.KEYS)


@scene("keys without JavaScript", javascript=False)
def keys_plain(page: Page) -> None:
    page.goto(steps.KEYS)


@scene("keys of a new project")
def keys_new(page: Page) -> None:
    owner = User.objects.get(email="mara@example.test")
    create_project("Fresh", slug="fresh", owner=owner, at=owner.date_joined)
    page.goto("/projects/fresh/settings/keys/")


@scene("keys, filtered")
def keys_filtered(page: Page) -> None:
    page.goto(f"{steps.KEYS}?type=restricted&mine=1")
    expect(page.get_by_text("keys match.")).to_be_visible()


@scene("keys, nothing found")
def keys_nothing(page: Page) -> None:
    page.goto(f"{steps.KEYS}?q=zzz&rq=zzz")
    expect(page.get_by_text("No keys match “zzz”.").first).to_be_visible()


@scene("keys, an address that asks for nothing we have", complaints=(400,))
def keys_problem(page: Page) -> None:
    page.goto(f"{steps.KEYS}?sort=colour")


@scene("keys, second page")
def keys_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for number in range(60):
        IssuedFactory(project=project, name=f"Integration {number:02}")
    page.goto(steps.KEYS)
    page.get_by_role("navigation", name="Pagination", exact=True).get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Zendesk sync", exact=True)).to_be_visible()


@scene("keys, for a viewer", who="viewer")
def keys_viewer(page: Page) -> None:
    page.goto(steps.KEYS)


@scene("project switcher")
def switcher(page: Page) -> None:
    page.goto(steps.KEYS)
    page.locator("summary").filter(has_text="Project:").click()
    expect(page.get_by_role("link", name="Create project")).to_be_visible()


@scene("account menu")
def account_menu(page: Page) -> None:
    page.goto(steps.KEYS)
    steps.open_account_menu(page)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


@scene("signed out on the page", complaints=(401,))
def signed_out_notice(page: Page) -> None:
    page.goto(steps.KEYS)
    Session.objects.all().delete()
    page.get_by_role("link", name="Create API key").click()
    expect(page.get_by_text("You've been signed out.")).to_be_visible()


# Create API key


@scene("create a key")
def create(page: Page) -> None:
    page.goto(steps.KEYS)
    steps.open_create(page)
    settled(page, "Create API key")


@scene("create a key, until a date")
def create_until(page: Page) -> None:
    create(page)
    page.get_by_label("Expires").select_option(label="On a date")
    page.get_by_role("radio", name="Privileged key").check()


@scene("create a privileged key refused", complaints=(422,))
def create_privileged_refused(page: Page) -> None:
    enrol(the_owner())
    create(page)
    page.get_by_role("radio", name="Privileged key").check()
    page.get_by_label("Key name").fill("Zendesk sync")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("create a key refused", complaints=(422,))
def create_refused(page: Page) -> None:
    create(page)
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("create a key, signed out", complaints=(401,))
def create_signed_out(page: Page) -> None:
    create(page)
    steps.fill(page.get_by_role("dialog"), "Mail bridge", "Sources: read")
    Session.objects.all().delete()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("You've been signed out.")).to_be_visible()


@scene("create a key, page")
def create_page(page: Page) -> None:
    page.goto(f"{steps.KEYS}new/")


@scene("create a key refused, page", complaints=(422,), javascript=False)
def create_page_refused(page: Page) -> None:
    page.goto(f"{steps.KEYS}new/")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


# Show once


@scene("show once")
def once(page: Page) -> None:
    page.goto(steps.KEYS)
    steps.generate(page, "Mail bridge")
    settled(page, "Copy your key now")


@scene("show once, a long name")
def once_long(page: Page) -> None:
    page.goto(steps.KEYS)
    steps.generate(page, LONG_NAME[::-1])
    settled(page, "Copy your key now")


@scene("show once, clipboard refused")
def once_refused(page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    once(page)
    page.get_by_role("button", name="Copy key", exact=True).click()
    expect(page.get_by_text("Couldn't copy.")).to_be_visible()


@scene("show once, page", javascript=False)
def once_page(page: Page) -> None:
    page.goto(steps.KEYS)
    steps.generate(page, "Mail bridge")


@scene("stored")
def stored(page: Page) -> None:
    once(page)
    steps.store(page)


# Renew and revoke


@scene("renew")
def renew(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Get a new secret for Billing webhooks").click()
    settled(page, "Get a new secret?")


@scene("renew the Automator Key")
def renew_automator(page: Page) -> None:
    at_key(page, "Automator Key", "renew/")


@scene("revoke")
def revoke(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Revoke Old poller").click()
    settled(page, "Revoke Old poller?")


@scene("revoke a key in use, refused", complaints=(422,))
def revoke_in_use(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Revoke Zendesk sync").click()
    settled(page, "Revoke Zendesk sync?")
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("revoke a key with a long name")
def revoke_long(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name=f"Revoke {LONG_NAME}").click()
    settled(page, f"Revoke {LONG_NAME}?")


@scene("revoke a key that issued others")
def revoke_issuer(page: Page) -> None:
    issuer = Key.objects.select_related("project").get(name="Zendesk sync", project__slug="acme")
    for name in ["Deploy 1", LONG_NAME[:-2], *(f"Deploy {number}" for number in range(2, 12))]:
        draft = Draft(name, scopes=["sources:read"], expires_at=issuer.expires_at)
        lifecycle.issue(issuer.project, draft, actor=KeyActor.acting(issuer), at=issuer.created_at)
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Revoke Zendesk sync").click()
    settled(page, "Revoke Zendesk sync?")


@scene("revoke, page", javascript=False)
def revoke_page(page: Page) -> None:
    at_key(page, "Docs crawler", "revoke/")


@scene("revoked")
def revoked(page: Page) -> None:
    revoke(page)
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("Old poller was revoked.")).to_be_visible()


@scene("already revoked", complaints=(409,))
def already_revoked(page: Page) -> None:
    revoke(page)
    project = Project.objects.get(slug="acme")
    operator = User.objects.get(memberships__project=project, memberships__role=Role.OPERATOR)
    at = operator.date_joined
    lifecycle.revoke(
        project, key_id("Old poller"), actor=acting(operator, project), at=at + timedelta(minutes=1)
    )
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("already revoked this key")).to_be_visible()


# The key's own page


@scene("a key")
def key(page: Page) -> None:
    at_key(page, "Docs crawler")


@scene("a key that isn't confirmed")
def key_unconfirmed(page: Page) -> None:
    at_key(page, "Billing webhooks")


@scene("a key with a long name")
def key_long(page: Page) -> None:
    at_key(page, LONG_NAME)


@scene("a key with a name from right to left")
def key_rtl(page: Page) -> None:
    at_key(page, RTL_NAME)


@scene("a revoked key")
def key_revoked(page: Page) -> None:
    at_key(page, "Old Zendesk sync")


@scene("the Automator Key")
def automator(page: Page) -> None:
    at_key(page, "Automator Key")


# The docs


def docs(name: str, who: str | None) -> None:
    @scene(f"docs: {name}", who=who)
    def visit(page: Page) -> None:
        page.goto(reverse(f"docs_{name}"))


for _name in ("present_a_key", "scopes", "errors", "rotate_safely", "second_factor", "api"):
    docs(_name, None)
docs("index", "owner")


# What goes wrong


@scene("not found", complaints=(404,))
def not_found(page: Page) -> None:
    page.goto("/projects/elsewhere/settings/keys/")


@scene("not found, for a stranger", who=None, complaints=(404,))
def not_found_stranger(page: Page) -> None:
    page.goto("/nothing/here/")


@scene("not allowed", who="viewer", complaints=(403,))
def not_allowed(page: Page) -> None:
    page.goto(f"{steps.KEYS}new/")


@scene("a form that is out of date", complaints=(403,), javascript=False)
def out_of_date(page: Page) -> None:
    page.goto("/projects/new/")
    page.context.clear_cookies(name="csrftoken")
    page.get_by_role("main").get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", level=1, name="This form is out of date")).to_be_visible()


@scene("too many attempts", who=None, complaints=(422, 429))
def too_many(page: Page) -> None:
    page.goto("/account/login/")
    for _ in range(40):
        response = page.request.post(
            "/account/login/", form=csrf(page) | {"login": "x@y.test", "password": "x"}
        )
        if response.status == 429:
            break
    page.get_by_label("Email address").fill("x@y.test")
    page.get_by_label("Password").fill("not this one")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1, name="Too many attempts")).to_be_visible()


def csrf(page: Page) -> dict[str, str | float | bool]:
    return {"csrfmiddlewaretoken": page.locator("[name=csrfmiddlewaretoken]").first.input_value()}


# The page of an error stands alone, and the browser asks for an icon where it names none.
@scene("an error of ours", complaints=(500, 404))
def error(page: Page) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projects.views.projects.Project", None)
        page.goto("/projects/")


@scene("a bad request", complaints=(400,))
def bad_request(page: Page) -> None:
    def suspect(*_: object) -> None:
        raise SuspiciousOperation

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("projects.views.projects.Project", SimpleNamespace(objects=SimpleNamespace(of=suspect)))
        page.goto("/projects/")
