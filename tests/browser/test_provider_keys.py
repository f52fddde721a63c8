"""Provider keys and upstreams, with JavaScript and without."""

from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Locator, Page, Request, expect
from pytest_django.live_server_helper import LiveServer

from keys.models import ProviderKey
from keys.providers import NoProviderKey, authorization_for, delete_provider_key
from projects.models import Project, User
from tests.browser import steps
from tests.browser.conftest import Complaints, freshen_browser, sign_in
from tests.factories import ProviderKeyFactory, UpstreamFactory, acting

VALUE = "sk-proj-Zq3vT8mB1xW6nR4cK9yL2pD7"
OTHER = "sk-proj-aB3dE5gH7jK9mN1pQ3rS5tU7"


@pytest.fixture
def project_keys(project: Project) -> list[ProviderKey]:
    main = ProviderKeyFactory(project=project, name="Main OpenAI", secret=VALUE)
    spare = ProviderKeyFactory(project=project, name="Spare", provider="anthropic", secret=OTHER)
    for slug in ("gpt-4.1", "gpt-5"):
        UpstreamFactory(project=project, slug=slug, provider_key=main.public_id)
    return [main, spare]


@pytest.fixture
def visitor(project_keys: list[ProviderKey], either: Page) -> Page:
    freshen_browser(either.context)
    either.goto(steps.PROVIDERS)
    return either


@pytest.fixture
def dialogs(project_keys: list[ProviderKey], page: Page) -> Page:
    freshen_browser(page.context)
    page.goto(steps.PROVIDERS)
    return page


def ask(page: Page, link: str, heading: str = "") -> Locator:
    page.get_by_role("link", name=link, exact=True).click()
    panel = steps.panel(page, heading or link)
    expect(panel).to_be_visible()
    return panel


def save(panel: Locator) -> None:
    panel.get_by_role("button", name="Save", exact=True).click()


def row(page: Page, name: str, table: str = "Provider keys, by name") -> Locator:
    rows = page.get_by_role("table", name=table).get_by_role("row")
    return rows.filter(has=page.get_by_role("rowheader", name=name, exact=True))


def test_a_key_is_stored_from_the_page_and_shown_masked(
    visitor: Page, project: Project, javascript: bool
) -> None:
    form = ask(visitor, "New provider key")
    form.get_by_role("textbox", name="Name").fill("Mistral")
    form.get_by_label("Provider", exact=True).select_option(label="Mistral")
    form.get_by_label("Value").fill(VALUE)
    if javascript:
        expect(form.locator("summary")).to_contain_text("https://api.mistral.ai/v1")
    save(form)
    expect(visitor.get_by_text("Mistral was stored.")).to_be_visible()
    expect(visitor.get_by_role("dialog")).to_be_hidden()
    for text in ("Mistral", "api.mistral.ai/v1", "sk-…pD7", "Nothing"):
        expect(row(visitor, "Mistral")).to_contain_text(text)
    assert VALUE not in visitor.content()
    key = project.provider_keys.get(name="Mistral")
    assert (key.base_url, key.header, key.prefix) == ("https://api.mistral.ai/v1", "Authorization", "Bearer")
    if javascript:
        expect(visitor.get_by_role("link", name="Edit Mistral")).to_be_focused()


def test_choosing_a_provider_asks_with_the_provider_alone_and_fills_in_the_rest(dialogs: Page) -> None:
    asked: list[Request] = []
    form = ask(dialogs, "New provider key")
    form.get_by_role("textbox", name="Name").fill("Claude")
    form.get_by_label("Value").fill(VALUE)
    dialogs.on("request", lambda request: asked.append(request))
    choice = form.get_by_label("Provider", exact=True)
    choice.select_option(label="Anthropic")
    expect(form.locator("summary")).to_contain_text("https://api.anthropic.com")
    # Folded, until somebody wants to see it.
    expect(form.get_by_label("Base URL")).to_be_hidden()
    form.locator("summary").click()
    expect(form.get_by_label("Header", exact=True)).to_have_value("x-api-key")
    choice.select_option(label="Azure OpenAI")
    expect(form.get_by_label("Header", exact=True)).to_have_value("api-key")
    expect(form.get_by_label("Base URL")).to_have_value("")
    expect(form.get_by_label("Base URL")).to_be_visible()
    # What was typed stays, and so does the focus.
    expect(form.get_by_label("Value")).to_have_value(VALUE)
    expect(form.get_by_role("textbox", name="Name")).to_have_value("Claude")
    assert [parse_qs(urlsplit(request.url).query) for request in asked] == [
        {"provider": ["anthropic"]}, {"provider": ["azure-openai"]},
    ]  # fmt: skip
    for request in asked:
        assert request.method == "GET"
        assert VALUE not in f"{request.url} {request.headers} {request.post_data}"


def test_what_is_wrong_is_told_and_can_be_mended(
    visitor: Page, project: Project, complaints: Complaints
) -> None:
    complaints.allow(422)
    form = ask(visitor, "New provider key")
    save(form)
    summary = form.get_by_role("alert")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("link")).to_have_text(
        ["Enter a name.", "Choose a provider.", "Enter the value."]
    )
    form.get_by_role("textbox", name="Name").fill("Claude")
    form.get_by_label("Provider", exact=True).select_option(label="Anthropic")
    form.get_by_label("Value").fill(f"{VALUE} ")
    save(form)
    said = "The value has spaces or line breaks around it: paste the key alone."
    expect(summary.get_by_role("link")).to_have_text([said])
    expect(form.get_by_label("Value")).to_have_value("")
    summary.get_by_role("link").click()
    expect(form.get_by_label("Value")).to_be_focused()
    form.get_by_label("Value").fill(VALUE)
    save(form)
    expect(visitor.get_by_text("Claude was stored.")).to_be_visible()


def test_a_key_is_renamed_and_its_value_replaced(visitor: Page, project: Project) -> None:
    form = ask(visitor, "Edit Main OpenAI")
    expect(form.get_by_label("New value")).to_have_value("")
    form.get_by_role("textbox", name="Name").fill("Old OpenAI")
    save(form)
    expect(visitor.get_by_text("Old OpenAI was saved.")).to_be_visible()
    assert authorization_for(project, "gpt-5").value == f"Bearer {VALUE}"
    form = ask(visitor, "Edit Old OpenAI")
    form.get_by_label("New value").fill(OTHER)
    save(form)
    expect(row(visitor, "Old OpenAI")).to_contain_text("sk-…tU7")
    assert authorization_for(project, "gpt-5").value == f"Bearer {OTHER}"


def test_cancel_and_escape_change_nothing(visitor: Page, javascript: bool) -> None:
    form = ask(visitor, "Edit Main OpenAI")
    form.get_by_role("textbox", name="Name").fill("Mine")
    form.get_by_text("Cancel").click()
    expect(row(visitor, "Main OpenAI")).to_be_visible()
    if javascript:
        ask(visitor, "Edit Main OpenAI")
        visitor.keyboard.press("Escape")
        expect(visitor.get_by_role("link", name="Edit Main OpenAI")).to_be_focused()
    assert ProviderKey.objects.filter(name="Main OpenAI").exists()


def test_of_two_editors_the_second_sees_both_sides(
    visitor: Page, project: Project, project_keys: list[ProviderKey], complaints: Complaints
) -> None:
    complaints.allow(409)
    form = ask(visitor, "Edit Main OpenAI")
    ProviderKey.objects.filter(pk=project_keys[0].pk).update(name="Theirs", name_folded="theirs", version=2)
    form.get_by_role("textbox", name="Name").fill("Mine")
    save(form)
    late = steps.panel(visitor, "Nothing was changed")
    expect(late).to_contain_text("Yours: Mine")
    expect(late).to_contain_text("Now: Theirs")
    late.get_by_role("link", name="Edit again").click()
    form = steps.panel(visitor, "Edit Theirs")
    form.get_by_role("textbox", name="Name").fill("Ours")
    save(form)
    expect(visitor.get_by_text("Ours was saved.")).to_be_visible()


def test_another_key_is_selected_in_the_row_itself(visitor: Page, project: Project, javascript: bool) -> None:
    visitor.get_by_label("Provider key of gpt-4.1").select_option(label="Spare")
    button = visitor.get_by_role("button", name="Save gpt-4.1")
    button.click()
    expect(visitor.get_by_text("gpt-4.1 uses Spare.")).to_be_visible()
    expect(visitor.get_by_label("Provider key of gpt-4.1").locator("option:checked")).to_have_text("Spare")
    expect(row(visitor, "Spare")).to_contain_text("gpt-4.1")
    assert authorization_for(project, "gpt-4.1").value == OTHER
    if javascript:
        expect(button).to_be_focused()


def test_one_that_was_deleted_meanwhile_is_told(
    visitor: Page, project: Project, project_keys: list[ProviderKey], owner: User, complaints: Complaints
) -> None:
    complaints.allow(422)
    visitor.get_by_label("Provider key of gpt-5").select_option(label="Spare")
    actor = acting(owner, project)
    delete_provider_key(project, project_keys[1].public_id, actor=actor, at=project_keys[1].created_at)
    visitor.get_by_role("button", name="Save gpt-5").click()
    told = steps.panel(visitor, "Provider key of gpt-5")
    expect(told.get_by_role("alert")).to_contain_text("There is no such provider key here.")
    choice = told.get_by_label("Provider key", exact=True)
    expect(choice.get_by_role("option")).to_have_text(["None", "Main OpenAI"])
    choice.select_option(label="Main OpenAI")
    save(told)
    expect(visitor.get_by_text("gpt-5 uses Main OpenAI.")).to_be_visible()
    expect(row(visitor, "Spare")).to_have_count(0)


def test_whoever_is_not_fresh_is_asked_for_the_password_and_loses_nothing(
    either: Page,
    live_server: LiveServer,
    project: Project,
    project_keys: list[ProviderKey],
    owner: User,
    javascript: bool,
) -> None:
    owner.set_password(steps.PASSWORD)
    owner.save(update_fields=["password"])
    sign_in(either.context, owner, live_server)
    either.goto(steps.PROVIDERS)
    either.get_by_label("Provider key of gpt-5").select_option(label="Spare")
    either.get_by_role("button", name="Save gpt-5").click()
    asked = steps.panel(either, "Provider key of gpt-5")
    expect(asked.get_by_label("Provider key", exact=True).locator("option:checked")).to_have_text("Spare")
    expect(asked.get_by_label("Your password")).to_be_focused()
    asked.get_by_label("Your password").fill(steps.PASSWORD)
    save(asked)
    expect(either.get_by_text("gpt-5 uses Spare.")).to_be_visible()
    if javascript:
        expect(either.get_by_role("button", name="Save gpt-5")).to_be_focused()
    assert authorization_for(project, "gpt-5").value == OTHER
    # Good for half an hour.
    form = ask(either, "New provider key")
    expect(form.get_by_label("Your password")).to_have_count(0)


def test_the_value_stands_beside_no_field_that_makes_it_look_like_a_new_password(
    page: Page, project_keys: list[ProviderKey]
) -> None:
    """Else a browser offers to keep a provider's key as the person's password."""
    page.goto(f"{steps.PROVIDERS}new/")
    expect(page.get_by_label("Your password")).to_have_attribute("autocomplete", "current-password")
    expect(page.get_by_label("Value")).to_have_attribute("autocomplete", "off")
    freshen_browser(page.context)
    page.goto(f"{steps.PROVIDERS}new/")
    expect(page.get_by_label("Your password")).to_have_count(0)
    expect(page.get_by_label("Value")).to_have_attribute("autocomplete", "new-password")


def test_an_upstream_is_added_and_deleted(visitor: Page, javascript: bool) -> None:
    form = ask(visitor, "New upstream")
    form.get_by_role("textbox", name="Name").fill("claude-opus-4.5")
    form.get_by_label("Provider key", exact=True).select_option(label="Spare")
    save(form)
    expect(visitor.get_by_text("claude-opus-4.5 was added.")).to_be_visible()
    if javascript:
        expect(visitor.get_by_role("button", name="Save claude-opus-4.5")).to_be_focused()
    asked = ask(visitor, "Delete claude-opus-4.5", "Delete claude-opus-4.5?")
    expect(asked.get_by_role("link", name="Keep upstream")).to_be_focused()
    asked.get_by_role("button", name="Delete upstream").click()
    expect(visitor.get_by_text("claude-opus-4.5 was deleted.")).to_be_visible()
    expect(row(visitor, "claude-opus-4.5", "Upstreams, by name")).to_have_count(0)
    if javascript:
        expect(visitor.get_by_role("button", name="Save gpt-4.1")).to_be_focused()


def test_a_key_is_deleted_and_what_used_it_says_so(visitor: Page, project: Project, javascript: bool) -> None:
    asked = ask(visitor, "Delete Main OpenAI", "Delete Main OpenAI?")
    expect(asked).to_contain_text("Deleted keys can't be recovered.")
    expect(asked.get_by_role("listitem")).to_have_text(["gpt-4.1", "gpt-5"])
    expect(asked.get_by_role("link", name="Keep key")).to_be_focused()
    asked.get_by_role("button", name="Delete key").click()
    expect(visitor.get_by_text("Main OpenAI was deleted.")).to_be_visible()
    expect(row(visitor, "Main OpenAI")).to_have_count(0)
    expect(visitor.get_by_label("Provider key of gpt-5").locator("option:checked")).to_have_text("None")
    with pytest.raises(NoProviderKey):
        authorization_for(project, "gpt-5")
    if javascript:
        expect(visitor.get_by_role("link", name="Edit Spare")).to_be_focused()


def test_typing_finds_and_a_pasted_value_leaves_no_trace(dialogs: Page) -> None:
    search = dialogs.get_by_role("searchbox", name="Search by name")
    search.press_sequentially("spa")
    expect(dialogs.get_by_text("1 provider key matches.")).to_be_visible()
    expect(row(dialogs, "Main OpenAI")).to_have_count(0)
    assert urlsplit(dialogs.url).query == "q=spa"
    search.fill("7c1f9e3ab2d84650cc91d7e2f0a3b865")
    expect(dialogs.get_by_text("No provider key has that in its name.")).to_be_visible()
    assert urlsplit(dialogs.url).query == "none=1"
    dialogs.get_by_role("link", name="Clear search").click()
    expect(row(dialogs, "Main OpenAI")).to_be_visible()
    expect(search).to_have_value("")
