"""Who comes into the administration, and what every page of it has in common."""

from datetime import datetime

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from keys.lifecycle import Issued
from keys.models import Key
from projects.audit import Actor
from projects.models import Invitation, Project, User
from tests.factories import ChannelFactory, IssuedFactory, UserFactory, invited
from tests.meta.template_lint import findings
from tests.web.administration import ADMIN, crawled, routes
from tests.web.pages import Page, signed_in

pytestmark = pytest.mark.django_db

PASSWORD = "correct horse battery"
# Addresses of Django's own that are open to everybody, or lead to pages that are.
OPEN = {"jsi18n", "login", "logout", "password_change"}


@pytest.fixture
def ines(db: None) -> User:
    return UserFactory(name="Ines Varga", email="ines@example.test", is_staff=True)


def test_a_stranger_is_led_to_the_one_sign_in(client: Client) -> None:
    response = client.get("/admin/keys/key/")
    assert response.status_code == 302
    assert response["Location"] == "/account/login/?next=/admin/keys/key/"
    assert client.get("/admin/login/")["Location"].startswith("/account/login/?next=")


def test_staff_come_in_by_that_sign_in(client: Client) -> None:
    User.objects.create_user("ines@example.test", PASSWORD, is_staff=True)
    response = client.post(
        "/account/login/?next=/admin/", {"login": "ines@example.test", "password": PASSWORD}, follow=True
    )
    assert Page(response).heading == "Administration"


@pytest.mark.parametrize("name", sorted(routes().keys() - OPEN))
def test_a_member_who_is_not_staff_is_turned_away_everywhere(owner: User, name: str) -> None:
    client = signed_in(owner)
    for method in (client.get, client.post):
        response = method(routes()[name], follow=True)
        assert len(response.redirect_chain) <= 1, "a loop"
        assert response.status_code == 403
        assert Page(response).heading == "Not allowed"
    assert Project.objects.get(slug="acme").deleted_at is None


def test_somebody_who_must_change_the_password_does_that_first(ines: User) -> None:
    User.objects.update(must_change_password=True)
    response = signed_in(ines).get("/admin/keys/key/")
    assert response["Location"] == "/account/password/change/?next=%2Fadmin%2Fkeys%2Fkey%2F"


def test_an_account_that_was_deactivated_is_out_at_once(ines: User) -> None:
    client = signed_in(ines)
    assert client.get(ADMIN).status_code == 200
    User.objects.update(is_active=False)
    assert client.get(ADMIN)["Location"].startswith("/account/login/")


def test_a_flag_that_was_taken_away_counts_at_once(ines: User) -> None:
    client = signed_in(ines)
    User.objects.update(is_staff=False)
    assert client.get(ADMIN, follow=True).status_code == 403


def test_only_what_belongs_here_is_here(ines: User) -> None:
    names = {name.rpartition("_")[0] for name in routes() if name.endswith("_changelist")}
    assert names == {
        "keys_key", "keys_providerkey", "keys_upstream", "projects_auditevent", "projects_channel",
        "projects_invitation", "projects_membership", "projects_project", "projects_resource",
        "projects_user",
    }  # fmt: skip


@pytest.mark.parametrize("path", ["add/", "acme/delete/", "acme/history/", "acme/", "nothing/else/"])
@pytest.mark.parametrize("kind", ["keys/key", "projects/auditevent"])
def test_what_is_read_only_has_no_other_page(ines: User, kind: str, path: str) -> None:
    client = signed_in(ines)
    assert client.get(f"/admin/{kind}/{path}").status_code == 404
    assert client.post(f"/admin/{kind}/{path}").status_code == 404


def test_what_is_not_there_is_404_and_repeats_nothing(ines: User) -> None:
    client = signed_in(ines)
    token = "kr_live_" + "Q" * 56
    for kind in ("keys/key", "projects/project", "projects/membership", "projects/resource",
                 "projects/channel", "projects/user", "projects/auditevent",
                 "projects/invitation"):  # fmt: skip
        for address in ("nothing", "acme.0", ".", "-.999", "0", "9" * 30, "a%00b", token):
            response = client.get(f"/admin/{kind}/{address}/change/")
            assert response.status_code == 404, (kind, address)
            assert token not in response.content.decode()


def test_a_page_is_not_posted_to(ines: User, project: Project) -> None:
    client = signed_in(ines)
    assert client.post("/admin/projects/project/").status_code == 405
    assert client.post("/admin/projects/project/acme/change/").status_code == 405
    assert client.get("/admin/projects/project/search/").status_code == 405
    assert client.put("/admin/projects/project/acme/rename/").status_code == 405


@pytest.fixture
def furnished(project: Project, owner: User, ines: User, at: datetime) -> tuple[Issued, Issued]:
    """A project with all that pages can show; the second key was revoked."""
    from keys import lifecycle

    issued = IssuedFactory(project=project, at=at, note="Reads the docs.")
    ChannelFactory(project=project, slug="support")
    IssuedFactory(project=project, at=at, type="channel", channel="support", holder="Support desk")
    invited(project, owner)
    Key.objects.filter(pk=issued.key.pk).update(sealed=b"SEALEDCANARY")
    ended = IssuedFactory(project=project, at=at)
    lifecycle.revoke(project, ended.key.key_id, actor=Actor.system(), at=at, reason="Laptop stolen")
    User.objects.filter(pk=owner.pk).update(password="md5$canary$PASSWORDHASH")
    return issued, ended


def test_no_page_shows_a_hash_a_sealed_copy_or_a_secret(
    ines: User, project: Project, furnished: tuple[Issued, Issued]
) -> None:
    pages = crawled(signed_in(ines))
    assert len(pages) > 40
    canaries = ["SEALEDCANARY", "PASSWORDHASH", "$argon2", "argon2id", "secret_hash"]
    for issued in furnished:
        key = Key.objects.get(pk=issued.key.pk)
        canaries += [key.secret_hash, issued.token, issued.token[20:58]]
    canaries += [row.secret_hash for row in Key.objects.all()]
    canaries += [row.token_hash for row in Invitation.objects.all()]
    for url, page in pages.items():
        found = [canary for canary in canaries if canary in page.source]
        assert not found, url
    assert not LogEntry.objects.exists()


def test_every_page_keeps_to_the_content_security_policy(
    ines: User, furnished: tuple[Issued, Issued]
) -> None:
    for url, page in crawled(signed_in(ines)).items():
        assert list(findings(page.source)) == [], url
        assert "/static/admin/" not in page.source, "Django's own style sheets and scripts stay out"


def test_every_page_has_its_title_one_heading_and_the_way_back(
    ines: User, furnished: tuple[Issued, Issued]
) -> None:
    for url, page in crawled(signed_in(ines)).items():
        assert page.title.endswith(" · Administration · Keyrack"), url
        assert len(page.find("h1")) == 1, url
        assert page.link("Back to the console") == "/"


def test_no_page_is_kept_by_the_browser(ines: User, furnished: tuple[Issued, Issued]) -> None:
    client = signed_in(ines)
    for url in ("/admin/", "/admin/keys/key/", "/admin/projects/user/add/"):
        assert "no-store" in client.get(url)["Cache-Control"]


def test_django_s_json_for_select_boxes_answers_nothing(ines: User, project: Project) -> None:
    client = signed_in(ines)
    for model, field in (("membership", "user"), ("membership", "project")):
        query = f"app_label=projects&model_name={model}&field_name={field}"
        assert client.get(f"/admin/autocomplete/?{query}").status_code in (403, 404)


def test_an_address_with_a_nul_is_a_bad_request(ines: User) -> None:
    client = signed_in(ines)
    for kind in ("keys/key", "projects/project", "projects/auditevent", "projects/user"):
        for name in ("q", "project", "after", "object"):
            assert client.get(f"/admin/{kind}/?{name}=a%00b").status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        "secret_hash__startswith=a",
        "token_hash__startswith=a",
        "password__startswith=a",
        "user__password__startswith=a",
        "id=1",
        "x=1",
    ],
)
def test_no_address_filters_by_a_column_of_its_own_choice(ines: User, query: str) -> None:
    client = signed_in(ines)
    for kind in ("keys/key", "projects/user", "projects/membership", "projects/invitation"):
        assert client.get(f"/admin/{kind}/?{query}").status_code == 400
