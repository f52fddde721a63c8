"""An error in the middle of a secret's way: what is answered, reported and logged shows nothing of it."""

import html
import json
import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

import pytest
from django.urls import reverse
from pytest_django import Settings

from config.logs import JsonLines
from keys import tokens
from keys.lifecycle import Issued
from projects.models import Project, User
from tests.factories import IssuedFactory, acting, invited
from tests.meta.canary import LIST, WHOAMI, Watch, Watched, fields, shown, watching
from tests.web.pages import freshen, url_of

pytestmark = pytest.mark.django_db

PASSWORD: Final = "quartz lantern 77"


@pytest.fixture
def watch(db: None) -> Iterator[Watch]:
    with watching() as watch:
        yield watch


@pytest.fixture
def mara(watch: Watch, owner: User) -> Watched:
    client = Watched(watch)
    client.force_login(owner)
    return client


def test_a_key_in_the_path_is_taken_out_of_the_log(watch: Watch, mara: Watched, project: Project) -> None:
    """Nobody puts it there but by a slip of the clipboard; the path is logged, so it must be cleaned."""
    token = shown(mara.post(url_of("key_create"), fields()))
    watch.answers.clear()
    for text in (token, token[20:58], token[8:]):
        for url in (f"{LIST}{text}/", f"/projects/{text}/settings/keys/", f"/{text}", f"/api/v1/{text}"):
            assert mara.get(url).status_code == 404
    assert watch.showing() == []
    lines = [JsonLines().format(record) for record in watch.records]
    assert any("/kr_live_[redacted]" in line for line in lines)
    assert any("/[redacted]" in line for line in lines)
    assert not any(watch.found_in(line) for line in lines)


def test_what_is_logged_beside_a_line_is_cleaned_whatever_it_is() -> None:
    token = tokens.generate("live").text
    record = logging.makeLogRecord({"msg": "late", "error": ValueError(token), "seen": [{"at": token}]})
    line = JsonLines().format(record)
    assert line.count("kr_live_[redacted]") == 2
    assert token[8:] not in line


class Broken(Exception):
    pass


def send_create(client: Watched, issued: Issued) -> None:
    client.post(url_of("key_create"), fields(note=f"see {issued.token}"))


def send_issue(client: Watched, issued: Issued) -> None:
    client.post(url_of("key_create"), fields())


def send_agent(client: Watched, issued: Issued) -> None:
    client.post(url_of("agent_create"), fields(name=f"Agent {issued.token}"))


def send_edit(client: Watched, issued: Issued) -> None:
    url = url_of("key_edit", issued.key.key_id)
    client.post(url, {"version": "1", "name": "x", "note": f"see {issued.token}"})


def send_search(client: Watched, issued: Issued) -> None:
    client.post(url_of("key_search"), {"q": issued.token})


def send_typed(client: Watched, issued: Issued) -> None:
    client.get(LIST, {"q": issued.token})


def send_env(client: Watched, issued: Issued) -> None:
    client.post(url_of("key_env", issued.key.key_id), {"token": issued.token})


def send_revoke(client: Watched, issued: Issued) -> None:
    client.post(url_of("key_revoke", issued.key.key_id), {"reason": issued.token})


def send_bearer(client: Watched, issued: Issued) -> None:
    client.get(WHOAMI, headers={"Authorization": f"Bearer {issued.token}"})


def send_header(client: Watched, issued: Issued) -> None:
    client.get(WHOAMI, headers={"X-API-Key": issued.token})


def send_invite(client: Watched, issued: Issued) -> None:
    owner = User.objects.get(memberships__project=issued.key.project)
    owner.set_password(PASSWORD)
    owner.save(update_fields=["password"])
    client.force_login(owner)
    typed = {"email": "otto@example.test", "role": "20", "current_password": PASSWORD}
    client.post(url_of("member_invite"), typed)


def send_open(client: Watched, issued: Issued) -> None:
    Watched(client.watch).get(link_of(issued))


def send_join(client: Watched, issued: Issued) -> None:
    typed = {"name": "Inês Prado", "password1": PASSWORD, "password2": PASSWORD}
    Watched(client.watch).post(link_of(issued), typed)


def link_of(issued: Issued) -> str:
    """Return the address of an invitation, which whatever breaks has among its variables."""
    project = issued.key.project
    given = invited(project, User.objects.get(memberships__project=project))
    return reverse("invitation", args=[given.token])


Send = Callable[[Watched, Issued], None]

# Where it breaks, and what is under way then. In each the secret is in some frame's variables.
BREAKS: Final[list[tuple[str, Send]]] = [
    ("keys.writing.insert", send_issue),
    ("keys.writing.record", send_issue),
    ("keys.tokens.checksum", send_issue),
    ("keys.tokens._HASHER", send_issue),
    ("keys.views.pages.answer", send_issue),
    ("keys.views.pages.once", send_issue),
    ("keys.forms.KeyForm.clean", send_create),
    ("keys.forms.KeyForm.draft", send_create),
    ("keys.views.pages.search_query", send_search),
    ("keys.listing.read", send_search),
    ("keys.views.pages.holds_pasted_key", send_typed),
    ("keys.forms.AgentForm.clean_scopes", send_agent),
    ("keys.views.agents.pages.created", send_agent),
    ("keys.forms.EditForm.edit", send_edit),
    ("keys.lifecycle.edited", send_edit),
    ("keys.views.keys.proves", send_env),
    ("keys.verification.tokens.verify_secret", send_env),
    ("keys.views.keys.slugify", send_env),
    ("keys.views.keys.lifecycle.revoke", send_revoke),
    ("keys.verification.tokens.parse", send_bearer),
    ("keys.verification._read", send_bearer),
    ("keys.verification.tokens.verify_secret", send_bearer),
    ("keys.verification._memo", send_header),
    ("projects.invitations._hash", send_invite),
    ("projects.invitations._record", send_invite),
    ("keys.views.members._link", send_invite),
    ("keys.views.members.answer", send_invite),
    ("projects.views.invitations.invitations.opened_by", send_open),
    ("projects.invitations._open", send_open),
    ("projects.views.invitations._page", send_open),
    ("projects.views.invitations.invitations.join", send_join),
    ("projects.invitations._hashed", send_join),
    ("projects.invitations._admit", send_join),
    ("projects.views.invitations._signed_in", send_join),
]


@pytest.mark.parametrize("debug", [False, True], ids=["live", "debug"])
@pytest.mark.parametrize(("place", "send"), BREAKS, ids=[f"{send.__name__} {at}" for at, send in BREAKS])
def test_no_report_of_an_error_shows_it(
    watch: Watch,
    mara: Watched,
    project: Project,
    owner: User,
    at: datetime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    send: Send,
    debug: bool,
) -> None:
    issued = IssuedFactory(project=project, actor=acting(owner, project), at=at)
    settings.DEBUG = debug

    class Breaks:
        """Stands in for a function or an object; its error quotes all that it was given."""

        def __call__(self, *given: Any, **named: Any) -> Any:
            raise Broken(f"can't go on with {given} {named} {issued.token}")

        def __getattr__(self, name: str) -> Any:
            return self

    monkeypatch.setattr(place, Breaks())
    send(mara, issued)
    assert [answer.status_code for _, answer in watch.answers] == [500]
    assert watch.showing() == []
    assert len(watch.reports) == 2
    for report in watch.reports:
        assert "Broken" in report
        assert not watch.found_in(report)
    lines = [JsonLines().format(record) for record in watch.records]
    assert any("Traceback" in line for line in lines)
    assert not any(watch.found_in(line) for line in lines)


@pytest.mark.parametrize("debug", [False, True], ids=["live", "debug"])
@pytest.mark.parametrize("place", ["projects.invitations._admit", "projects.views.invitations._signed_in"])
def test_no_report_of_an_error_shows_the_password_of_somebody_who_joins(
    watch: Watch,
    mara: Watched,
    project: Project,
    owner: User,
    at: datetime,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    debug: bool,
) -> None:
    settings.DEBUG = debug

    def breaks(*_given: Any, **_named: Any) -> Any:
        raise Broken("can't go on")

    monkeypatch.setattr(place, breaks)
    send_join(mara, IssuedFactory(project=project, actor=acting(owner, project), at=at))
    (response,) = [answer for _, answer in watch.answers]
    assert response.status_code == 500
    lines = [JsonLines().format(record) for record in watch.records]
    for text in (*watch.reports, *lines, response.content.decode()):
        assert PASSWORD not in text
    assert any("can&#x27;t go on" in report for report in watch.reports)


# A provider's key has no shape by which it could be taken out: it is known by the field that it was sent in.

VALUES: Final = ["7c1f9e3ab2d84650cc91d7e2f0a3b865", r"""it's"odd"\<b>&-value"""]
OF_PROVIDERS: Final = [
    "keys.forms_providers.ProviderKeyForm.draft",
    "keys.forms_providers.ProviderDraft",
    "keys.views.providers.providers.create_provider_key",
    "keys.provider_drafts.clean_name",
    "keys.provider_drafts.clean_value",
    "keys.provider_drafts.value_stands_in",
    "keys.providers.mask",
    "keys.providers.Keyring",
    "keys.providers._write",
    "keys.providers._record_key",
    "config.sealing.os.urandom",
    "keys.views.providers._back",
]


@pytest.mark.parametrize("debug", [False, True], ids=["live", "debug"])
@pytest.mark.parametrize("secret", VALUES)
@pytest.mark.parametrize("place", OF_PROVIDERS)
def test_no_report_of_an_error_shows_a_provider_s_key(
    watch: Watch,
    mara: Watched,
    project: Project,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    secret: str,
    debug: bool,
) -> None:
    watch.values.append(secret)
    settings.DEBUG = debug
    freshen(mara)

    def breaks(*given: Any, **named: Any) -> Any:
        raise Broken(f"can't go on with {given} {named} {secret}")

    monkeypatch.setattr(place, breaks)
    sent = {"name": "Main", "provider": "openai", "secret": secret}
    mara.post(url_of("provider_key_create"), sent)
    assert [answer.status_code for _, answer in watch.answers] == [500]
    assert watch.showing() == []
    assert len(watch.reports) == 2
    for report in watch.reports:
        assert "Broken" in report
        assert "provider_key_create" in report
        assert not watch.found_in(html.unescape(report))
    lines = [JsonLines().format(record) for record in watch.records]
    assert any("Traceback" in line for line in lines)
    for line in lines:
        assert not watch.found_in(json.dumps(json.loads(line), ensure_ascii=False))
        assert not watch.found_in(str(json.loads(line)))
