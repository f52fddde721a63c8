"""“I've stored it”: the dialog closes or the list comes back, and the key is no longer unconfirmed."""

import json
from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from keys.lifecycle import renew, revoke
from keys.models import Key
from projects.models import AuditEvent, Project, User
from tests.factories import acting
from tests.web.conftest import MakeKey
from tests.web.pages import HTMX, Page, signed_in, url_of

pytestmark = pytest.mark.django_db

LIST = "http://testserver/projects/acme/settings/keys/"


@pytest.fixture
def mara(owner: User) -> Client:
    return signed_in(owner)


@pytest.fixture
def fresh(make: MakeKey) -> Key:
    return make(confirmed=False).key


def store(client: Client, key: Key, headers: dict[str, str] | None = None) -> Any:
    return client.post(url_of("key_confirm", key.key_id), headers=headers or {})


def stored(key: Key) -> bool:
    return Key.objects.get(pk=key.pk).confirmed_at is not None


def confirmations(key: Key) -> int:
    return AuditEvent.objects.filter(verb="key.confirmed", object_id=key.key_id).count()


def test_without_htmx_the_list_comes_back(mara: Client, fresh: Key) -> None:
    response = store(mara, fresh)
    assert (response.status_code, response["Location"]) == (303, url_of("key_list"))
    assert stored(fresh)
    page = Page(mara.get(response["Location"]))
    assert page.messages() == ["Docs crawler is ready to use."]
    assert not page.find("span", class_="status")


def test_with_htmx_the_dialog_closes_over_the_new_row(mara: Client, fresh: Key) -> None:
    response = store(mara, fresh, HTMX | {"HX-Current-URL": LIST})
    assert response.status_code == 200
    assert stored(fresh)
    assert (response["HX-Retarget"], response["HX-Reswap"]) == ("#listing", "outerHTML")
    assert json.loads(response["HX-Trigger-After-Settle"]) == {
        "keyrack:close": {},
        "keyrack:focus": {"target": f"#key-{fresh.key_id}"},
    }
    page = Page(response)
    assert not page.is_whole
    assert page.messages() == ["Docs crawler is ready to use."]
    assert page.find(id=f"key-{fresh.key_id}")
    # Said, and not kept for the next page.
    assert Page(mara.get(url_of("key_list"))).messages() == []


def test_with_htmx_the_list_stays_as_it_was_searched(mara: Client, fresh: Key, make: MakeKey) -> None:
    make("Billing webhooks")
    response = store(mara, fresh, HTMX | {"HX-Current-URL": f"{LIST}?q=bill&sort=name"})
    page = Page(response)
    assert not page.find("a", "Docs crawler")
    assert page.find("a", "Billing webhooks")
    assert page.texts("caption")[0] == "Project API keys, by name, A to Z"


def test_with_htmx_on_the_keys_own_page_the_list_is_gone_to(mara: Client, fresh: Key) -> None:
    response = store(mara, fresh, HTMX | {"HX-Current-URL": f"{LIST}{fresh.key_id}/"})
    assert response["HX-Redirect"] == url_of("key_list")
    assert "keyrack:close" in json.loads(response["HX-Trigger"])
    assert "HX-Retarget" not in response
    assert Page(mara.get(url_of("key_list"))).messages() == ["Docs crawler is ready to use."]


def test_a_second_time_changes_nothing(mara: Client, fresh: Key, way: dict[str, str]) -> None:
    assert store(mara, fresh, way).status_code == store(mara, fresh, way).status_code
    assert confirmations(fresh) == 1


def test_an_operator_stores_their_own(operator: User, make: MakeKey, way: dict[str, str]) -> None:
    key = make(confirmed=False, by=operator).key
    assert store(signed_in(operator), key, way).status_code in (200, 303)
    assert stored(key)


def test_it_is_too_late_for_a_revoked_key(
    mara: Client, fresh: Key, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    revoke(project, fresh.key_id, actor=acting(owner, project), at=at)
    response = store(mara, fresh, way)
    assert response.status_code == 409
    page = Page(response)
    assert page.is_whole is not bool(way)
    assert "Mara Lindqvist already revoked this key at" in page.content.one(role="alert").text
    assert not stored(fresh)


def test_a_secret_that_was_replaced_meanwhile_is_not_the_one_stored(
    mara: Client, fresh: Key, project: Project, owner: User, way: dict[str, str], at: datetime
) -> None:
    shown = fresh.version
    renewed = renew(project, fresh.key_id, actor=acting(owner, project), at=at, version=shown).key
    url = url_of("key_confirm", fresh.key_id)
    response = mara.post(url, {"version": shown}, headers=way)
    assert response.status_code == 409
    page = Page(response)
    assert page.is_whole is not bool(way)
    said = page.content.one(role="alert").text
    assert said == "This key was given a new secret meanwhile. The one you stored is dead."
    assert page.content.find("a", "Get a new secret")
    assert not stored(fresh)
    mara.post(url, {"version": renewed.version}, headers=way)
    assert stored(fresh)


def test_the_page_of_the_secret_says_which_it_is(mara: Client, fresh: Key) -> None:
    answer = mara.post(url_of("key_renew", fresh.key_id), {"version": fresh.version})
    fields = Page(answer).form_of("I've stored it").fields()
    assert fields["version"] == [str(fresh.version + 1)]


def test_a_version_that_is_none_breaks_nothing(mara: Client, fresh: Key, way: dict[str, str]) -> None:
    for text in ("", "one", "9" * 40, "kr_live_" + "A" * 56):
        response = mara.post(url_of("key_confirm", fresh.key_id), {"version": text}, headers=way)
        assert response.status_code < 500
        assert "A" * 20 not in response.content.decode()


def test_nobody_else_says_that_it_is_stored(
    viewer: User, operator: User, fresh: Key, way: dict[str, str]
) -> None:
    for person in (viewer, operator):
        assert store(signed_in(person), fresh, way).status_code == 403
    assert not stored(fresh)


def test_a_viewer_is_told_so(viewer: User, fresh: Key, way: dict[str, str]) -> None:
    page = Page(store(signed_in(viewer), fresh, way))
    assert "You can't do that in Acme." in page.texts("p")


def test_there_is_no_such_key(mara: Client, project: Project, way: dict[str, str]) -> None:
    response = mara.post(url_of("key_confirm", "A" * 12), headers=way)
    assert response.status_code == 404


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_it_is_only_posted(mara: Client, fresh: Key, method: str) -> None:
    assert getattr(mara, method)(url_of("key_confirm", fresh.key_id)).status_code == 405
    assert not stored(fresh)


def test_it_is_not_taken_from_another_site(owner: User, fresh: Key, way: dict[str, str]) -> None:
    assert store(signed_in(owner, enforce_csrf_checks=True), fresh, way).status_code == 403
    assert not stored(fresh)
