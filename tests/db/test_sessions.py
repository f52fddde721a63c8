"""config/sessions.py: what of a session is in the database, and that nothing there signs anybody in."""

import json
from datetime import timedelta

import pytest
from asgiref.sync import async_to_sync
from django.contrib.sessions.models import Session
from django.core import serializers
from django.test import Client
from django.utils import timezone

from config.sessions import SessionStore, row_name
from projects.models import User

pytestmark = pytest.mark.django_db


def stored(**contents: object) -> SessionStore:
    session = SessionStore()
    session.update(contents)
    session.create()
    return session


def dump() -> str:
    return str(serializers.serialize("json", Session.objects.all()))


def test_it_reads_back_what_was_stored() -> None:
    key = stored(colour="brass").session_key
    assert SessionStore(key)["colour"] == "brass"


def test_a_dump_holds_neither_the_key_nor_the_contents() -> None:
    session = stored(link="c8abc-0f1e2d3c4b5a")
    assert session.session_key
    assert session.session_key not in dump()
    assert "0f1e2d3c4b5a" not in dump()
    assert [row.get_decoded() for row in Session.objects.all()] == [{}]


def test_nothing_in_a_dump_is_a_cookie() -> None:
    stored(colour="brass")
    for row in json.loads(dump()):
        for text in (row["pk"], row["fields"]["session_data"]):
            assert SessionStore(text).load() == {}


def test_it_does_not_read_another_sessions_row() -> None:
    first, second = stored(who="first"), stored(who="second")
    contents = Session.objects.get(pk=row_name(first.session_key or "")).session_data
    Session.objects.filter(pk=row_name(second.session_key or "")).update(session_data=contents)
    assert SessionStore(second.session_key).load() == {}


def test_an_expired_session_is_empty() -> None:
    key = stored(colour="brass").session_key
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert SessionStore(key).load() == {}
    SessionStore.clear_expired()
    assert not Session.objects.exists()


def test_it_says_whether_a_session_exists() -> None:
    session = stored()
    assert SessionStore().exists(session.session_key or "")
    assert not SessionStore().exists("another-key-altogether")


def test_a_saved_session_keeps_its_row() -> None:
    key = stored(colour="brass").session_key
    session = SessionStore(key)
    session["colour"] = "ink"
    session.save()
    assert SessionStore(key)["colour"] == "ink"
    assert Session.objects.count() == 1


def test_a_new_key_ends_the_old_one() -> None:
    session = stored(colour="brass")
    old = session.session_key
    session.cycle_key()
    assert session.session_key != old
    assert SessionStore(old).load() == {}
    assert SessionStore(session.session_key)["colour"] == "brass"
    assert Session.objects.count() == 1


def test_deleting_and_flushing_leave_no_row() -> None:
    stored().delete()
    session = stored()
    SessionStore().delete(session.session_key)
    stored().flush()
    SessionStore().delete()
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_the_asynchronous_methods_do_the_same() -> None:
    async def live() -> tuple[str, str, dict[str, object]]:
        session = SessionStore()
        await session.aset("colour", "brass")
        await session.acreate()
        first = session.session_key or ""
        assert await session.aexists(first)
        await session.acycle_key()
        second = session.session_key or ""
        await SessionStore(second).asave()
        return first, second, await SessionStore(second).aload()

    first, second, contents = async_to_sync(live)()
    assert contents == {"colour": "brass"}
    assert [row.pk for row in Session.objects.all()] == [row_name(second)]
    assert first not in dump()
    assert second not in dump()
    async_to_sync(SessionStore(second).adelete)()
    assert not Session.objects.exists()


def test_signing_out_deletes_the_row(client: Client) -> None:
    client.force_login(User.objects.create_user("mara@example.test", "correct horse battery"))
    key = client.cookies["keyrack_session"].value
    assert Session.objects.filter(pk=row_name(key)).exists()
    client.post("/account/logout/")
    assert not Session.objects.filter(pk=row_name(key)).exists()
    assert SessionStore(key).load() == {}
