"""The file of recovery codes: of the ones that the page still shows, which come back in the body."""

import pytest

from projects.models import User
from tests.authenticator import App, enrol
from tests.web.pages import Page, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/codes/download/"


@pytest.fixture
def app(owner: User) -> App:
    return enrol(owner)


def test_it_holds_the_codes_one_a_line(owner: User, app: App) -> None:
    response = signed_in(owner).post(HERE, {"codes": " ".join(app.recovery_codes)})
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    assert response["Content-Type"] == "text/plain; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="keyrack-recovery-codes.txt"'
    lines = response.content.decode().splitlines()
    assert lines[0] == "# Recovery codes of mara@example.test at http://127.0.0.1:8000"
    assert lines[2:] == app.recovery_codes


@pytest.mark.parametrize("codes", ["", "0000-0000", "x" * 100_000, "\x00", "é", "kr_live_" + "a1B2" * 14])
def test_nothing_else_is_written_into_a_file(owner: User, app: App, codes: str) -> None:
    response = signed_in(owner).post(HERE, {"codes": codes})
    assert response.status_code == 422
    page = Page(response)
    assert page.content.one(role="alert").text.endswith("Nothing was downloaded.")
    assert "a1B2" not in page.source


def test_the_codes_of_somebody_else_are_not(owner: User, viewer: User, app: App) -> None:
    enrol(viewer)
    response = signed_in(viewer).post(HERE, {"codes": " ".join(app.recovery_codes)})
    assert response.status_code == 422


def test_it_is_asked_for_by_post_alone(owner: User, app: App) -> None:
    assert signed_in(owner).get(HERE, {"codes": " ".join(app.recovery_codes)}).status_code == 405


def test_whoever_has_no_second_factor_has_no_file(owner: User) -> None:
    assert signed_in(owner).post(HERE, {"codes": ""}).status_code == 422
