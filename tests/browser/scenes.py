"""Every page and every dialog of the console, each reached as a person reaches it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Final

import pytest
from allauth.account.utils import user_pk_to_url_str
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.core.exceptions import SuspiciousOperation
from django.urls import reverse
from django.utils import timezone
from playwright.sync_api import Page, expect

from keys import lifecycle, recovery
from keys.channels import close_channel, create_channel, edit_channel
from keys.drafts import Draft, Edit
from keys.kinds import NEVER_EXPIRES, KeyType
from keys.models import DayCount, Key, KeyActivity, ProviderKey, ScopeUse, SourceUse
from keys.permissions import KeyActor
from keys.provider_drafts import ProviderEdit
from keys.providers import edit_provider_key as edit_elsewhere
from projects import invitations
from projects import lifecycle as lifecycle_of_projects
from projects import second_factor as factors
from projects.audit import Actor
from projects.lifecycle import add_resource, create_project, edit_resource, rename_project
from projects.models import Invitation, Membership, Project, Role, User
from tests.authenticator import App, enrol
from tests.browser import steps
from tests.factories import (
    ChannelFactory,
    IssuedFactory,
    MembershipFactory,
    ProjectFactory,
    ProviderKeyFactory,
    UpstreamFactory,
    UserFactory,
    acting,
    invited,
)

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
    furnish_agents(make, at)
    for name, days_ago, reason in (
        ("Old Zendesk sync", 8, "Replaced by Zendesk sync"),
        ("Contractor laptop", 22, ""),
        (LONG_NAME[:-1], 20, LONG_NAME),
    ):
        key = make(name, 50, type=KeyType.VIEWER)
        ended = at - timedelta(days=days_ago)
        lifecycle.revoke(project, key.key_id, actor=acting(operator, project), at=ended, reason=reason)
    furnish_channels(project, owner, operator, at)
    count_uses(project, at)


def furnish_channels(project: Project, owner: User, operator: User, at: datetime) -> None:
    """Open channels: one with keys in every state, one with an awkward name, one without keys."""
    mara, made = acting(owner, project), at - timedelta(days=60)
    for name, kind in (("Support bot", "teams"), (LONG_NAME, "custom"), (RTL_NAME, "web-widget")):
        create_channel(project, name, kind, actor=mara, at=made)

    def hold(name: str, holder: str, days_ago: float, by: User = owner, **draft: object) -> Key:
        when, actor = at - timedelta(days=days_ago), acting(by, project)
        held = {"type": KeyType.CHANNEL, "channel": "support-bot", "holder": holder, "confirmed": True}
        key: Key = IssuedFactory(project=project, name=name, at=when, actor=actor, **held | draft).key
        return key

    soon = {"expires_at": at + timedelta(days=6)}
    used(hold("Support bot in the shop", "The shop's desk", 12, operator, **soon), at, minutes=7)
    hold("Support bot for Nora", "Nora Ek", 3, confirmed=False)
    hold("Support bot, night shift", LONG_NAME, 30)
    hold("Support bot of the agency", RTL_NAME, 50, expires_at=at - timedelta(days=2))


def furnish_agents(make: Callable[..., Key], at: datetime) -> None:
    """Agent keys in every state that they can be in."""
    agent = {"type": KeyType.AGENT}
    used(make("Release agent", 12, **agent), at, minutes=2)
    used(make("Triage agent", 80, scopes=["agents:run"], **agent), at, hours=3)
    used(make("Old scout", 120, **agent), at, days=31)
    make("Night watch", 0.2, confirmed=False, **agent)
    Key.objects.filter(pk=make("Weekend agent", 5, **agent).pk).update(paused_at=at)
    make(LONG_NAME[:-3], 4, scopes=["agents:run", "chat:send"], **agent)
    gone = make("Beta agent", 60, **agent)
    actor = Actor.system("Mara Lindqvist")
    lifecycle.revoke(gone.project, gone.key_id, actor=actor, at=at - timedelta(days=3), reason="Replaced")


def count_uses(project: Project, at: datetime) -> None:
    """Give some keys the use of a month: a busy one, one that rests at weekends, one with refusals."""
    today = at.astimezone(UTC).date()
    for name, counts in (
        ("Zendesk sync", (41, 52, 48, 60, 44, 3, 2)),
        ("Teams bot", (900, 1100, 980, 1204, 30, 20, 700)),
        ("Docs crawler", (0, 0, 0, 0, 0, 31, 0)),
        ("Release agent", (5, 0, 9, 12)),
    ):
        key = Key.objects.get(project=project, name=name)
        rows = [(ago, counts[ago % len(counts)]) for ago in range(30)]
        days = [
            DayCount(key=key, day=today - timedelta(days=ago), outcome="valid", count=count)
            for ago, count in rows
            if count
        ]
        DayCount.objects.bulk_create(days)
    bot = Key.objects.get(project=project, name="Teams bot")
    for ago, outcome, count in (
        (1, "scope-missing", 410),
        (9, "rate-limited", 77),
        (10, "rate-limited", 1300),
    ):
        DayCount.objects.create(key=bot, day=today - timedelta(days=ago), outcome=outcome, count=count)
    for scope, ago in (("chat:send", 0), ("sources:read", 12)):
        ScopeUse.objects.create(key=bot, scope=scope, last_used_on=today - timedelta(days=ago))
    for address, client, count in (
        ("52.112.3.9", "MS Teams", 20111),
        ("2001:db8:85a3:1234:5678:8a2e:370:7334", "python-requests", 8),
        ("192.0.2.41", "", 1),
        ("", "", 77),
    ):
        first, last = at - timedelta(days=27), at - timedelta(minutes=2 + 3 * len(client))
        SourceUse.objects.create(
            key=bot, address=address, client=client, count=count, first_used_at=first, last_used_at=last
        )


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


# Rotate, pause, reveal


@scene("rotate")
def rotate(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Rotate Docs crawler").click()
    settled(page, "Rotate Docs crawler")


@scene("rotate a privileged key, refused", complaints=(422,))
def rotate_privileged(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Rotate Zendesk sync").click()
    settled(page, "Rotate Zendesk sync")
    page.get_by_role("button", name="Rotate key").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("rotate, page", javascript=False)
def rotate_page(page: Page) -> None:
    at_key(page, "Docs crawler", "rotate/")


@scene("keys, one of them rotating")
def rotating(page: Page) -> None:
    rotate(page)
    page.get_by_role("button", name="Rotate key").click()
    settled(page, "Copy your key now")
    steps.store(page)
    expect(page.get_by_text("works until")).to_be_visible()


@scene("a key that is being replaced")
def key_rotating(page: Page) -> None:
    old = key_id("Docs crawler")
    rotating(page)
    page.goto(f"{steps.KEYS}{old}/")
    expect(page.get_by_text("Replaced by")).to_be_visible()


@scene("already rotated", complaints=(409,))
def already_rotated(page: Page) -> None:
    old = key_id("Docs crawler")
    rotating(page)
    page.goto(f"{steps.KEYS}{old}/rotate/")
    expect(page.get_by_text("This key was rotated already.")).to_be_visible()


@scene("pause")
def pause(page: Page) -> None:
    at_key(page, "Zendesk sync")
    page.get_by_role("link", name="Pause Zendesk sync").click()
    settled(page, "Pause Zendesk sync?")


@scene("a paused key")
def paused(page: Page) -> None:
    pause(page)
    page.get_by_role("button", name="Pause key").click()
    expect(page.get_by_text("Zendesk sync is paused.")).to_be_visible()


def keep(page: Page) -> None:
    """Make a key while the project keeps its keys recoverable."""
    project = Project.objects.get(slug="acme")
    owner = User.objects.get(email="mara@example.test")
    recovery.set_recoverable(project, True, actor=acting(owner, project), at=owner.date_joined)
    IssuedFactory(project=project, name="Mail bridge", actor=acting(owner, project), confirmed=True)
    page.goto(steps.KEYS)


@scene("reveal, refused", complaints=(422,))
def reveal(page: Page) -> None:
    keep(page)
    page.get_by_role("link", name="Reveal Mail bridge").click()
    settled(page, "Reveal Mail bridge")
    page.get_by_role("button", name="Show key").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("revealed", complaints=(422,))
def revealed(page: Page) -> None:
    reveal(page)
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Show key").click()
    expect(page.get_by_role("button", name="Copy key", exact=True)).to_be_visible()


@scene("make keys recoverable")
def recoverable_on(page: Page) -> None:
    page.goto(f"{steps.KEYS}recoverable/")


@scene("stop keeping keys")
def recoverable_off(page: Page) -> None:
    keep(page)
    page.goto(f"{steps.KEYS}recoverable/")


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


# Channels


@scene("channels")
def channels(page: Page) -> None:
    page.goto(steps.CHANNELS)


@scene("channels without JavaScript", javascript=False)
def channels_plain(page: Page) -> None:
    page.goto(steps.CHANNELS)


@scene("channels, for a viewer", who="viewer")
def channels_viewer(page: Page) -> None:
    page.goto(steps.CHANNELS)


@scene("channels, none yet")
def channels_none(page: Page) -> None:
    owner = User.objects.get(email="mara@example.test")
    create_project("Fresh", slug="fresh", owner=owner, at=owner.date_joined)
    page.goto("/projects/fresh/settings/channels/")


@scene("channels, second page")
def channels_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for number in range(60):
        ChannelFactory(project=project, slug=f"bot-{number:02}", name=f"Bot {number:02}")
    page.goto(steps.CHANNELS)
    page.get_by_role("navigation", name="Pagination").get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="API keys for Support bot")).to_be_visible()


@scene("channels, an address that leads nowhere", complaints=(400,))
def channels_problem(page: Page) -> None:
    page.goto(f"{steps.CHANNELS}?after=nothing")


@scene("create a channel")
def channel_create(page: Page) -> None:
    page.goto(steps.CHANNELS)
    page.get_by_role("link", name="Create channel").click()
    settled(page, "Create channel")


@scene("create a channel refused", complaints=(422,))
def channel_create_refused(page: Page) -> None:
    channel_create(page)
    page.get_by_label("Channel name").fill("support BOT")
    page.get_by_role("button", name="Create channel").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("create a channel, page", javascript=False)
def channel_create_page(page: Page) -> None:
    page.goto(f"{steps.CHANNELS}new/")


@scene("channel created")
def channel_created(page: Page) -> None:
    channel_create(page)
    page.get_by_label("Channel name").fill("Website")
    page.get_by_label("Kind").select_option(label="Web widget")
    page.get_by_role("button", name="Create channel").click()
    expect(page.get_by_text("Website was created.")).to_be_visible()


@scene("rename a channel")
def channel_edit(page: Page) -> None:
    page.goto(steps.CHANNELS)
    page.get_by_role("link", name="Rename Support bot").click()
    settled(page, "Rename Support bot")


@scene("rename a channel that somebody changed meanwhile", complaints=(409,))
def channel_edit_stale(page: Page) -> None:
    channel_edit(page)
    project = Project.objects.get(slug="acme")
    admin = Actor.system("Ada Okafor")
    now = timezone.now()
    edit_channel(project, "support-bot", name="Help bot", kind="slack", actor=admin, at=now, version=1)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("close a channel")
def channel_close(page: Page) -> None:
    page.goto(steps.CHANNELS)
    page.get_by_role("link", name="Close Support bot").click()
    settled(page, "Close Support bot?")


@scene("close a channel, page", javascript=False)
def channel_close_page(page: Page) -> None:
    page.goto(f"{steps.CHANNELS}support-bot/close/")


@scene("channel closed")
def channel_closed(page: Page) -> None:
    channel_close(page)
    page.get_by_role("button", name="Close channel").click()
    expect(page.get_by_text("Support bot was closed, and 4 keys with it.")).to_be_visible()


@scene("a channel that somebody closed meanwhile", complaints=(409,))
def channel_closed_before(page: Page) -> None:
    channel_close(page)
    project = Project.objects.get(slug="acme")
    close_channel(project, "support-bot", actor=Actor.system("Ada Okafor"), at=timezone.now())
    page.get_by_role("button", name="Close channel").click()
    expect(page.get_by_text("Ada Okafor already closed Support bot.")).to_be_visible()


@scene("keys of a channel")
def channel_keys(page: Page) -> None:
    page.goto(steps.CHANNELS)
    page.get_by_role("link", name="API keys for Support bot").click()
    settled(page, "API keys for Support bot")


@scene("keys of a channel, none yet")
def channel_keys_none(page: Page) -> None:
    page.goto(steps.CHANNELS)
    page.get_by_role("link", name=f"API keys for {RTL_NAME}").click()
    settled(page, f"API keys for {RTL_NAME}")


@scene("keys of a channel, page", javascript=False)
def channel_keys_page(page: Page) -> None:
    page.goto(f"{steps.CHANNELS}support-bot/keys/")


@scene("keys of a channel, for a viewer", who="viewer")
def channel_keys_viewer(page: Page) -> None:
    channel_keys(page)


@scene("keys of a channel, second page")
def channel_keys_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for number in range(60):
        IssuedFactory(project=project, type=KeyType.CHANNEL, channel="support-bot", holder=f"Shop {number}")
    channel_keys(page)
    page.get_by_role("dialog").get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Support bot for Nora", exact=True)).to_be_visible()


@scene("generate a key of a channel")
def channel_issue(page: Page) -> None:
    channel_keys(page)
    page.get_by_role("link", name="Generate API key").click()
    settled(page, "Generate API key for Support bot")


@scene("generate a key of a channel refused", complaints=(422,))
def channel_issue_refused(page: Page) -> None:
    channel_issue(page)
    page.get_by_label("Who holds it").fill("NORA EK")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("generate a key of a channel, page", javascript=False)
def channel_issue_page(page: Page) -> None:
    page.goto(f"{steps.CHANNELS}support-bot/keys/new/")


@scene("show once, a key of a channel")
def channel_once(page: Page) -> None:
    channel_issue(page)
    page.get_by_label("Key name").fill("Support bot for Ben")
    page.get_by_label("Who holds it").fill("Ben")
    page.get_by_role("button", name="Generate").click()
    settled(page, "Copy your key now")


@scene("key of a channel stored")
def channel_stored(page: Page) -> None:
    channel_once(page)
    page.get_by_role("button", name="I've stored it").click()
    expect(page.get_by_text("Support bot for Ben is ready to use.")).to_be_visible()


@scene("revoke a key of a channel")
def channel_revoke(page: Page) -> None:
    channel_keys(page)
    page.get_by_role("link", name="Revoke Support bot for Nora").click()
    settled(page, "Revoke Support bot for Nora?")


@scene("a key of a channel")
def channel_key(page: Page) -> None:
    at_key(page, "Support bot in the shop")


# Agent keys


@scene("agent keys")
def agents(page: Page) -> None:
    page.goto(steps.AGENTS)


@scene("agent keys without JavaScript", javascript=False)
def agents_plain(page: Page) -> None:
    page.goto(steps.AGENTS)


@scene("agent keys of a new project")
def agents_new(page: Page) -> None:
    owner = User.objects.get(email="mara@example.test")
    create_project("Fresh", slug="fresh", owner=owner, at=owner.date_joined)
    page.goto("/projects/fresh/settings/keys/agents/")
    expect(page.get_by_text("No agent keys yet")).to_be_visible()


@scene("agent keys, nothing found")
def agents_nothing(page: Page) -> None:
    page.goto(f"{steps.AGENTS}?q=zzz&rq=zzz")
    expect(page.get_by_text("No keys match “zzz”.").first).to_be_visible()


@scene("agent keys, a key of the other tab")
def agents_elsewhere(page: Page) -> None:
    page.goto(f"{steps.AGENTS}?key={key_id('Docs crawler')}")
    expect(page.get_by_text("That key is a project key")).to_be_visible()


@scene("agent keys, filtered")
def agents_filtered(page: Page) -> None:
    page.goto(f"{steps.AGENTS}?status=expired")
    expect(page.get_by_text("1 key matches.")).to_be_visible()


@scene("agent keys, for a viewer", who="viewer")
def agents_viewer(page: Page) -> None:
    page.goto(steps.AGENTS)


@scene("create an agent key")
def agent_create(page: Page) -> None:
    page.goto(steps.AGENTS)
    page.get_by_role("link", name="Create API key").click()
    settled(page, "Create agent key")


@scene("create an agent key, its scopes")
def agent_create_scopes(page: Page) -> None:
    agent_create(page)
    steps.unfold_scopes(page)
    expect(page.get_by_role("checkbox", name="Agents: run")).to_be_checked()


@scene("create an agent key refused", complaints=(422,))
def agent_create_refused(page: Page) -> None:
    agent_create_scopes(page)
    for name in ("Agents: run", "Chat: send", "Providers: use"):
        page.get_by_role("checkbox", name=name).uncheck()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("create an agent key, page", javascript=False)
def agent_create_page(page: Page) -> None:
    page.goto(f"{steps.AGENTS}new/")


@scene("show once, an agent key")
def agent_once(page: Page) -> None:
    agent_create(page)
    page.get_by_role("dialog").get_by_label("Key name").fill("Nightly agent")
    page.get_by_role("button", name="Generate").click()
    settled(page, "Copy your key now")


@scene("agent stored")
def agent_stored(page: Page) -> None:
    agent_once(page)
    page.get_by_role("button", name="I've stored it").click()
    expect(page.get_by_text("Nightly agent is ready to use.")).to_be_visible()


@scene("an agent key")
def agent_key(page: Page) -> None:
    at_key(page, "Release agent")


@scene("an expired agent key")
def agent_expired(page: Page) -> None:
    at_key(page, "Old scout")


# Use


@scene("a busy key")
def busy_key(page: Page) -> None:
    at_key(page, "Teams bot")
    page.get_by_text("Show as table").click()
    expect(page.get_by_role("table", name="Checks of the last 30 days (UTC)")).to_be_visible()


@scene("a key that was never used")
def unused_key(page: Page) -> None:
    at_key(page, "Nightly export")


@scene("first call seen")
def first_call_seen(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Create API key").click()
    settled(page, "Create API key")
    page.get_by_label("Key name").fill("Docs reader")
    page.get_by_label("Sources: read").check()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("Waiting for the first call…")).to_be_visible()
    key = Key.objects.get(name="Docs reader")
    used(key, timezone.now() + timedelta(seconds=1))
    expect(page.get_by_text("First call seen from 192.0.2.41")).to_be_visible()


@scene("first call, page", javascript=False)
def first_call_page(page: Page) -> None:
    at_key(page, "Nightly export", f"first-call/?since={timezone.now():%Y-%m-%dT%H:%M:%SZ}")


# Edit


@scene("edit")
def edit(page: Page) -> None:
    at_key(page, "Release agent")
    page.get_by_role("link", name="Edit Release agent").click()
    settled(page, "Edit Release agent")


@scene("edit refused", complaints=(422,))
def edit_refused(page: Page) -> None:
    edit(page)
    page.get_by_label("Key name").fill("Triage agent")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("edit overtaken", complaints=(409,))
def edit_overtaken(page: Page) -> None:
    at_key(page, "Billing webhooks")
    page.get_by_role("link", name="Edit Billing webhooks").click()
    settled(page, "Edit Billing webhooks")
    project = Project.objects.get(slug="acme")
    admin = Actor.system("Ada Okafor")
    changes = Edit(name="Billing, tills", note="For every till.\nAsk Ada.")
    at = timezone.now() - timedelta(seconds=12)
    lifecycle.edit(project, key_id("Billing webhooks"), changes, actor=admin, at=at, version=1)
    page.get_by_label("Key name").fill("Billing of the shop")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Ada Okafor changed this key")).to_be_visible()


@scene("edit access and limits")
def edit_access(page: Page) -> None:
    crawler = Key.objects.get(name="Docs crawler", project__slug="acme")
    limits = Edit(networks=["192.0.2.0/24", "2001:db8:85a3::/48"], rate="100/minute")
    lifecycle.edit(
        crawler.project, crawler.key_id, limits, actor=Actor.system(), at=timezone.now(), version=1
    )
    at_key(page, "Docs crawler")
    page.get_by_role("link", name="Edit Docs crawler").click()
    settled(page, "Edit Docs crawler")
    expect(page.get_by_label("Allowed networks")).to_be_visible()


@scene("edit access refused", complaints=(422,))
def edit_access_refused(page: Page) -> None:
    edit_access(page)
    page.get_by_label("Allowed networks").fill("10.0.0.0/33")
    page.get_by_label("Rate limit").fill("many")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("edit access, with the password")
def edit_access_password(page: Page) -> None:
    edit_access(page)
    page.get_by_label("Keys: read").check()


@scene("edit access overtaken", complaints=(409,))
def edit_access_overtaken(page: Page) -> None:
    edit_access(page)
    project, at = Project.objects.get(slug="acme"), timezone.now() - timedelta(seconds=12)
    changes = Edit(scopes=["chat:read"], networks=["10.0.0.0/8"], rate="", expires_at=NEVER_EXPIRES)
    admin = Actor.system("Ada Okafor")
    lifecycle.edit(project, key_id("Docs crawler"), changes, actor=admin, at=at, version=2)
    page.get_by_label("Expires").select_option("365")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Ada Okafor changed this key")).to_be_visible()


@scene("edited to more access")
def edited_access(page: Page) -> None:
    edit_access(page)
    page.get_by_label("Chat: send").check()
    page.get_by_label("Rate limit").fill("")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("More access than before: chat:send; without a rate limit.")).to_be_visible()
    at_key(page, "Docs crawler")


@scene("create with limits")
def create_with_limits(page: Page) -> None:
    page.goto(steps.KEYS)
    page.get_by_role("link", name="Create API key").click()
    settled(page, "Create API key")
    page.locator("summary").filter(has_text="Limits").click()
    expect(page.get_by_label("Allowed networks")).to_be_visible()
    page.get_by_label("Allowed networks").fill("192.0.2.0/24")


@scene("edit, page", javascript=False)
def edit_page(page: Page) -> None:
    at_key(page, "Docs crawler", "edit/")


@scene("edit a key with a long name")
def edit_long(page: Page) -> None:
    at_key(page, LONG_NAME, "edit/")


@scene("edited")
def edited(page: Page) -> None:
    edit(page)
    page.get_by_label("Key name").fill("Shipping agent")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Shipping agent was saved.")).to_be_visible()


# Members


def at_members(page: Page) -> None:
    page.goto(steps.MEMBERS)


def person(name: str) -> User:
    return User.objects.get(name=name)


@scene("members")
def members(page: Page) -> None:
    project, owner = Project.objects.get(slug="acme"), person("Mara Lindqvist")
    long = UserFactory(name=LONG_NAME, email=f"{'long.address.' * 4}name@sub.example.test")
    lapsed = MembershipFactory(project=project, user=long, role=Role.OWNER)
    at = owner.date_joined
    invited(project, long, "anna@example.test", role=Role.ADMIN, at=at)
    Membership.objects.filter(pk=lapsed.pk).update(role=Role.ADMIN)
    User.objects.filter(pk=long.pk).update(is_active=False)
    invited(project, owner, at=at)
    invited(project, owner, "somebody.whose.address.is.long@a.rather.long.example.test", at=at)
    invited(project, owner, "otto@example.test", at=at - timedelta(days=8))
    User.objects.filter(pk=owner.pk).update(last_login=at)
    at_members(page)
    expect(page.get_by_role("table", name="Invitations")).to_be_visible()


@scene("members without invitations")
def members_alone(page: Page) -> None:
    at_members(page)
    expect(page.get_by_text("Nobody is invited at the moment.")).to_be_visible()


@scene("members without JavaScript", javascript=False)
def members_plain(page: Page) -> None:
    at_members(page)


@scene("members, for a viewer", who="viewer")
def members_viewer(page: Page) -> None:
    at_members(page)


@scene("members, second page")
def members_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for _ in range(60):
        MembershipFactory(project=project, role=Role.VIEWER)
    at_members(page)
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()


@scene("members, a place that isn't there", complaints=(400,))
def members_problem(page: Page) -> None:
    page.goto(f"{steps.MEMBERS}?after=000000000000")


@scene("invite a member")
def invite(page: Page) -> None:
    at_members(page)
    page.get_by_role("link", name="Invite member").click()
    settled(page, "Invite member")


@scene("invite a member, page", javascript=False)
def invite_page(page: Page) -> None:
    page.goto(f"{steps.MEMBERS}invite/")


@scene("invite a member refused", complaints=(422,))
def invite_refused(page: Page) -> None:
    invited(Project.objects.get(slug="acme"), person("Mara Lindqvist"))
    invite(page)
    steps.fill_invitation(page, "ines@example.test", "Operator")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text("has an open invitation")).to_be_visible()


@scene("an invitation's link")
def invitation_link(page: Page) -> None:
    at_members(page)
    steps.invite(page, "ines@example.test", "Operator")
    settled(page, "Copy the invitation link")


@scene("an invitation's link, clipboard refused")
def invitation_link_refused(page: Page) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    invitation_link(page)
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_text("Couldn't copy. The link is selected")).to_be_visible()


@scene("an invitation's link, page", javascript=False)
def invitation_link_page(page: Page) -> None:
    at_members(page)
    steps.invite(page, "ines@example.test", "Operator")


@scene("make a new link")
def new_link(page: Page) -> None:
    invited(Project.objects.get(slug="acme"), person("Mara Lindqvist"))
    at_members(page)
    page.get_by_role("link", name="Make a new link for ines@example.test").click()
    settled(page, "Make a new link?")


@scene("an invitation that somebody else has ended", complaints=(409,))
def invitation_conflict(page: Page) -> None:
    project, owner = Project.objects.get(slug="acme"), person("Mara Lindqvist")
    revoke_invitation_dialog(page)
    public_id = Invitation.objects.get().public_id
    invitations.revoke_invitation(
        project, public_id, actor=acting(owner, project), at=owner.date_joined + timedelta(minutes=1)
    )
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Revoke invitation").click()
    expect(page.get_by_text("was revoked already")).to_be_visible()


@scene("revoke an invitation")
def revoke_invitation_dialog(page: Page) -> None:
    invited(Project.objects.get(slug="acme"), person("Mara Lindqvist"))
    at_members(page)
    page.get_by_role("link", name="Revoke the invitation of ines@example.test").click()
    settled(page, "Revoke invitation?")


@scene("change a role")
def change_role(page: Page) -> None:
    at_members(page)
    page.get_by_role("link", name="Change role of Otis Brandt").click()
    settled(page, "Role of Otis Brandt")


@scene("change the role of the last owner", complaints=(422,))
def change_last_role(page: Page) -> None:
    at_members(page)
    page.get_by_role("link", name="Change role of Mara Lindqvist").click()
    settled(page, "Role of Mara Lindqvist")
    page.get_by_role("radio", name="Viewer").check()
    steps.confirm_password(page)
    page.get_by_role("button", name="Change role").click()
    expect(page.get_by_role("alert")).to_contain_text("is the last owner of Acme")


@scene("remove a member")
def remove_member(page: Page) -> None:
    project, operator = Project.objects.get(slug="acme"), person("Otis Brandt")
    for number in range(12):
        IssuedFactory(project=project, name=f"Deploy {number}", actor=acting(operator, project))
    at_members(page)
    page.get_by_role("link", name="Remove Otis Brandt").click()
    settled(page, "Remove Otis Brandt?")


@scene("remove a member, page", javascript=False)
def remove_member_page(page: Page) -> None:
    page.goto(f"{steps.MEMBERS}{person('Otis Brandt').public_id}/remove/")


@scene("a member removed, with keys")
def member_removed(page: Page) -> None:
    at_members(page)
    steps.remove_member(page, "Otis Brandt")
    expect(page.get_by_role("link", name="Review keys")).to_be_visible()


@scene("leave a project")
def leave(page: Page) -> None:
    at_members(page)
    page.get_by_role("link", name="Leave Acme").click()
    settled(page, "Leave Acme?")


@scene("the keys of somebody")
def keys_of_somebody(page: Page) -> None:
    page.goto(f"{steps.KEYS}?by={person('Otis Brandt').public_id}")
    expect(page.get_by_text("Keys that Otis Brandt created")).to_be_visible()


# An invitation, as whoever is invited sees it


def invitation_of(email: str = "ines@example.test") -> str:
    project, owner = Project.objects.get(slug="acme"), person("Mara Lindqvist")
    return reverse("invitation", args=[invited(project, owner, email).token])


@scene("join with a new account", who=None)
def join(page: Page) -> None:
    page.goto(invitation_of())
    expect(page.get_by_label("Your name")).to_be_visible()


@scene("join refused", who=None, complaints=(422,))
def join_refused(page: Page) -> None:
    page.goto(invitation_of())
    page.get_by_role("button", name="Join Acme").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("join a project with a long name", who=None)
def join_long(page: Page) -> None:
    Project.objects.filter(slug="acme").update(name=LONG_NAME)
    page.goto(invitation_of())


@scene("join with an account", who=None)
def join_sign_in(page: Page) -> None:
    page.goto(invitation_of("nobody@example.test"))
    expect(page.get_by_role("link", name="Sign in as nobody@example.test to join")).to_be_visible()


@scene("join as who is signed in", who="nobody")
def join_signed_in(page: Page) -> None:
    page.goto(invitation_of("nobody@example.test"))
    expect(page.get_by_role("button", name="Join Acme")).to_be_visible()


@scene("an invitation of somebody else")
def join_other(page: Page) -> None:
    page.goto(invitation_of())
    expect(page.get_by_text("this invitation is for")).to_be_visible()


@scene("an invitation of a member", who="viewer")
def join_member(page: Page) -> None:
    project, owner = Project.objects.get(slug="acme"), person("Mara Lindqvist")
    Membership.objects.filter(project=project, user__name="Vera Sato").delete()
    url = invitation_of("vera@example.test")
    lifecycle_of_projects.add_member(
        project, person("Vera Sato"), Role.VIEWER, actor=acting(owner, project), at=owner.date_joined
    )
    page.goto(url)


@scene("an invitation that was used", who=None, complaints=(410,))
def invitation_used(page: Page) -> None:
    url = invitation_of()
    Invitation.objects.update(accepted_at=person("Mara Lindqvist").date_joined)
    page.goto(url)


@scene("an invitation that has expired", who=None, complaints=(410,))
def invitation_expired(page: Page) -> None:
    url = invitation_of()
    Invitation.objects.update(expires_at=person("Mara Lindqvist").date_joined)
    page.goto(url)


@scene("an invitation that was taken back", complaints=(410,))
def invitation_revoked(page: Page) -> None:
    url = invitation_of()
    Invitation.objects.update(revoked_at=person("Mara Lindqvist").date_joined)
    page.goto(url)


@scene("an invitation that doesn't work", who=None, complaints=(404,))
def invitation_unknown(page: Page) -> None:
    page.goto("/invitations/nothing/")


# Provider keys and upstreams


def stock() -> None:
    """Fill the project: a key that much uses, one that nothing does, names that are hard to place."""
    project = Project.objects.get(slug="acme")
    main = ProviderKeyFactory(project=project, name="Main OpenAI", secret="sk-proj-" + "aB3d" * 8)
    claude = ProviderKeyFactory(project=project, name="Claude", provider="anthropic", secret="short-one")
    azure = {"provider": "azure-openai", "base_url": "https://acme-support.openai.azure.com/openai"}
    ProviderKeyFactory(project=project, name=LONG_NAME, **azure)
    ProviderKeyFactory(project=project, name=RTL_NAME, provider="google")
    for slug in ("gpt-5", "gpt-5-mini", "gpt-4.1", "text-embedding-3-large", "o3"):
        UpstreamFactory(project=project, slug=slug, provider_key=main.public_id)
    UpstreamFactory(project=project, slug="claude-opus-4.5", provider_key=claude.public_id)
    UpstreamFactory(project=project, slug="x" * 60)


@scene("provider keys")
def provider_keys(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)


@scene("provider keys without JavaScript", javascript=False)
def provider_keys_plain(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)


@scene("no provider keys")
def provider_keys_none(page: Page) -> None:
    page.goto(steps.PROVIDERS)


@scene("provider keys, for a viewer", who="viewer")
def provider_keys_viewer(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)


@scene("provider keys, nothing found")
def provider_keys_nothing(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("searchbox", name="Search by name").press_sequentially("zzz")
    expect(page.get_by_text("No provider key has that in its name.")).to_be_visible()


@scene("provider keys, an address that asks for nothing we have", complaints=(400,))
def provider_keys_problem(page: Page) -> None:
    stock()
    page.goto(f"{steps.PROVIDERS}?after=x")


@scene("provider keys, second page")
def provider_keys_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for number in range(60):
        ProviderKeyFactory(project=project, name=f"Customer {number:02}")
    page.goto(steps.PROVIDERS)
    page.get_by_role("navigation", name="Pagination", exact=True).get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Edit Customer 50")).to_be_visible()


@scene("new provider key")
def provider_key_create(page: Page) -> None:
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name="New provider key").click()
    settled(page, "New provider key")


@scene("new provider key, of Azure OpenAI")
def provider_key_create_azure(page: Page) -> None:
    provider_key_create(page)
    page.get_by_label("Provider", exact=True).select_option(label="Azure OpenAI")
    expect(page.get_by_label("Header", exact=True)).to_have_value("api-key")


@scene("new provider key refused", complaints=(422,))
def provider_key_create_refused(page: Page) -> None:
    provider_key_create(page)
    page.get_by_label("Provider", exact=True).select_option(label="Custom")
    expect(page.get_by_label("Base URL")).to_be_visible()
    page.get_by_label("Base URL").fill("http://10.0.0.1")
    page.get_by_label("Value").fill("not-a-real-value")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("new provider key refused, page", complaints=(422,), javascript=False)
def provider_key_create_page_refused(page: Page) -> None:
    page.goto(f"{steps.PROVIDERS}new/")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


def edit_provider_key(page: Page, name: str = "Main OpenAI") -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name=f"Edit {name}").click()
    settled(page, f"Edit {name}")


@scene("edit a provider key")
def provider_key_edit(page: Page) -> None:
    edit_provider_key(page)


@scene("edit a provider key with a long name")
def provider_key_edit_long(page: Page) -> None:
    edit_provider_key(page, LONG_NAME)


@scene("edit a provider key refused", complaints=(422,))
def provider_key_edit_refused(page: Page) -> None:
    edit_provider_key(page)
    page.get_by_text("Address and header").click()
    page.get_by_label("Header", exact=True).fill("x-api-key")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("edit a provider key too late", complaints=(409,))
def provider_key_edit_stale(page: Page) -> None:
    edit_provider_key(page)
    key = ProviderKey.objects.select_related("project").get(name="Main OpenAI")
    owner = User.objects.get(email="mara@example.test")
    at = key.updated_at + timedelta(seconds=1)
    changes = ProviderEdit(name=LONG_NAME[:-1])
    edit_elsewhere(key.project, key.public_id, changes, actor=acting(owner, key.project), at=at, version=1)
    page.get_by_role("textbox", name="Name").fill("Spare OpenAI")
    page.get_by_label("New value").fill("another-value-1234")
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Nothing was changed")).to_be_visible()


@scene("delete a provider key")
def provider_key_delete(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name="Delete Main OpenAI").click()
    settled(page, "Delete Main OpenAI?")


@scene("delete a provider key, page", javascript=False)
def provider_key_delete_page(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name=f"Delete {LONG_NAME}").click()
    settled(page, f"Delete {LONG_NAME}?")


@scene("provider key deleted")
def provider_key_deleted(page: Page) -> None:
    provider_key_delete(page)
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Delete key").click()
    expect(page.get_by_text("Main OpenAI was deleted.")).to_be_visible()


@scene("new upstream")
def upstream_create(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name="New upstream").click()
    settled(page, "New upstream")


@scene("new upstream refused", complaints=(422,))
def upstream_create_refused(page: Page) -> None:
    upstream_create(page)
    page.get_by_role("textbox", name="Name").fill("GPT 5")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


def select_upstream(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_label("Provider key of gpt-5", exact=True).select_option(label="Claude")
    page.get_by_role("button", name="Save gpt-5", exact=True).click()
    settled(page, "Provider key of gpt-5")


@scene("another provider key selected, password asked")
def upstream_select(page: Page) -> None:
    select_upstream(page)


@scene("another provider key selected, password asked, page", javascript=False)
def upstream_select_page(page: Page) -> None:
    select_upstream(page)


@scene("another provider key selected, wrong password", complaints=(422,))
def upstream_select_refused(page: Page) -> None:
    select_upstream(page)
    page.get_by_label("Your password").fill("not this one")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("another provider key selected")
def upstream_selected(page: Page) -> None:
    select_upstream(page)
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("gpt-5 uses Claude.")).to_be_visible()


@scene("delete an upstream")
def upstream_delete(page: Page) -> None:
    stock()
    page.goto(steps.PROVIDERS)
    page.get_by_role("link", name=f"Delete {'x' * 60}").click()
    settled(page, f"Delete {'x' * 60}?")


# The audit log


@scene("audit log")
def audit_log(page: Page) -> None:
    page.goto(steps.AUDIT)


@scene("audit log, of every kind")
def audit_log_kinds(page: Page) -> None:
    happen(Project.objects.get(slug="acme"))
    page.goto(steps.AUDIT)
    expect(page.get_by_role("row").filter(has_text="Laptop stolen")).to_be_visible()


def happen(project: Project) -> None:
    """Let something of each kind happen to the project, last of all what is hardest to place."""
    mara = User.objects.get(email="mara@example.test")
    by = acting(mara, project, "2001:db8:85a3:8d3:1319:8a2e:370:7348")
    at = timezone.now()
    viewer = User.objects.get(email="vera@example.test")
    lifecycle_of_projects.change_role(project, viewer, Role.OPERATOR, actor=by, at=at)
    rename_project(project, "Acme", actor=by, at=at)
    add_resource(project, "billing-reports", ["read", "export"], label="Billing reports", actor=by, at=at)
    crawler = Key.objects.select_related("activity").get(name="Docs crawler", project=project)
    edit = Edit(name=LONG_NAME[::-1], scopes=["sources:read", "chat:send"])
    lifecycle.edit(project, crawler.key_id, edit, actor=by, at=at, version=crawler.version)
    issuer = KeyActor.acting(Key.objects.get(name="Zendesk sync", project=project), "192.0.2.41")
    short = Draft("Deploy", scopes=["sources:read"], expires_at=at + timedelta(days=3))
    made = lifecycle.issue(project, short, actor=issuer, at=at).key
    lifecycle.revoke(project, made.key_id, actor=Actor.system(), at=at, reason="Laptop stolen")


@scene("audit log, filtered")
def audit_log_filtered(page: Page) -> None:
    page.goto(f"{steps.AUDIT}?what=key.revoked&who=Otis+Brandt")
    expect(page.get_by_text("Only what matches is shown.")).to_be_visible()


@scene("audit log, nothing found")
def audit_log_nothing(page: Page) -> None:
    page.goto(f"{steps.AUDIT}?who=Nobody")
    expect(page.get_by_text("No events match.")).to_be_visible()


@scene("audit log, filter refused", complaints=(422,))
def audit_log_refused(page: Page) -> None:
    page.goto(steps.AUDIT)
    page.locator("summary").filter(has_text="Filters").click()
    page.get_by_label("Key ID").fill("no key")
    page.get_by_label("Key ID").press("Enter")
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("audit log, filter refused, page", complaints=(422,), javascript=False)
def audit_log_page_refused(page: Page) -> None:
    page.goto(f"{steps.AUDIT}?what=key")
    page.get_by_label("Key ID").fill("no key")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("audit log, an address that asks for nothing we have", complaints=(400,))
def audit_log_problem(page: Page) -> None:
    page.goto(f"{steps.AUDIT}?what=colour")


@scene("audit log, second page")
def audit_log_second_page(page: Page) -> None:
    project = Project.objects.get(slug="acme")
    for number in range(60):
        IssuedFactory(project=project, name=f"Integration {number:02}")
    page.goto(steps.AUDIT)
    page.get_by_role("navigation", name="Pagination").get_by_role("link", name="Next").click()
    expect(page.get_by_role("link", name="Previous")).to_be_visible()


# General


@scene("general")
def general(page: Page) -> None:
    page.goto(steps.GENERAL)


@scene("general, for a viewer", who="viewer")
def general_viewer(page: Page) -> None:
    page.goto(steps.GENERAL)


@scene("general, without scopes")
def general_empty(page: Page) -> None:
    Project.objects.get(slug="acme").resources.all().delete()
    page.goto(steps.GENERAL)


@scene("rename a project")
def rename(page: Page) -> None:
    page.goto(steps.GENERAL)
    page.get_by_role("link", name="Rename").click()
    settled(page, "Rename project")


@scene("rename a project refused, page", complaints=(422,), javascript=False)
def rename_refused(page: Page) -> None:
    page.goto(f"{steps.GENERAL}rename/")
    page.get_by_label("Project name").fill("")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("add a resource")
def resource_create(page: Page) -> None:
    page.goto(steps.GENERAL)
    page.get_by_role("link", name="Add resource").click()
    settled(page, "Add resource")


@scene("add a resource refused", complaints=(422,))
def resource_create_refused(page: Page) -> None:
    resource_create(page)
    page.get_by_role("button", name="Add resource").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("resource added")
def resource_created(page: Page) -> None:
    resource_create(page)
    page.get_by_role("textbox", name="Resource").fill("reports")
    page.get_by_label("Label").fill(LONG_NAME[:60])
    page.get_by_label("Actions").fill(" ".join(f"act-{number}-of-many" for number in range(9)))
    page.get_by_role("button", name="Add resource").click()
    expect(page.get_by_text("was added.")).to_be_visible()


@scene("edit a resource")
def resource_edit(page: Page) -> None:
    page.goto(steps.GENERAL)
    page.get_by_role("link", name="Edit Sources").click()
    settled(page, "Edit Sources")


@scene("edit a resource that somebody else has changed", complaints=(409,))
def resource_edit_conflict(page: Page) -> None:
    resource_edit(page)
    project = Project.objects.get(slug="acme")
    edit_resource(
        project, "sources", ["read", "write", "delete", "archive"], label="Sources", actor=Actor.system(),
        at=timezone.now(),
    )  # fmt: skip
    page.get_by_label("Actions").fill("read write delete index")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else changed Sources meanwhile.")).to_be_visible()


@scene("remove a resource whose scopes are held", complaints=(422,))
def resource_remove_refused(page: Page) -> None:
    page.goto(steps.GENERAL)
    page.get_by_role("link", name="Remove Sources").click()
    settled(page, "Remove Sources?")
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("delete a project")
def project_delete(page: Page) -> None:
    page.goto(steps.GENERAL)
    page.get_by_role("link", name="Delete project").click()
    settled(page, "Delete Acme?")


@scene("delete a project refused", complaints=(422,))
def project_delete_refused(page: Page) -> None:
    project_delete(page)
    page.get_by_role("button", name="Delete project").click()
    expect(page.get_by_text("There is a problem")).to_be_visible()


@scene("delete a project, page", javascript=False)
def project_delete_page(page: Page) -> None:
    page.goto(f"{steps.GENERAL}delete/")


@scene("a project deleted")
def project_deleted(page: Page) -> None:
    project_delete(page)
    page.get_by_label("Type the project's name to confirm").fill("Acme")
    page.get_by_label("Your password").fill(steps.PASSWORD)
    page.get_by_role("button", name="Delete project").click()
    expect(page.get_by_text("Acme was deleted. Its keys stopped working.")).to_be_visible()


# The docs


def docs(name: str, who: str | None) -> None:
    @scene(f"docs: {name}", who=who)
    def visit(page: Page) -> None:
        page.goto(reverse(f"docs_{name}"))


for _name in (
    "present_a_key", "scopes", "channels", "errors", "rotate_safely",
    "provider_keys", "gateways", "audit_log", "second_factor", "api",
):  # fmt: skip
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
