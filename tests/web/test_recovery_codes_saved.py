"""“I've saved them”: noted, and on to where one wanted to go."""

import pytest

from projects import second_factor
from projects.models import User
from tests.authenticator import enrol
from tests.web.pages import Page, signed_in

pytestmark = pytest.mark.django_db

HERE = "/account/second-factor/codes/saved/"


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("/projects/", "/projects/"),
        ("", "/account/second-factor/"),
        ("https://evil.example/", "/account/second-factor/"),
        ("/x?q=kr_live_" + "a1B2" * 14, "/account/second-factor/"),
    ],
)
def test_it_is_noted_and_leads_on(owner: User, target: str, leads: str) -> None:
    enrol(owner)
    client = signed_in(owner)
    response = client.post(HERE, {"next": target})
    assert (response.status_code, response["Location"]) == (303, leads)
    state = second_factor.second_factor_of(owner)
    assert state is not None
    assert state.saved
    said = Page(client.get("/projects/")).messages()
    assert said == ["Your second factor is on, and its recovery codes are saved."]


def test_whoever_has_none_saved_nothing(owner: User) -> None:
    response = signed_in(owner).post(HERE)
    assert response.status_code == 409
    assert Page(response).content.one(role="alert").text == "Nothing was changed: your second factor is off."


def test_it_takes_a_post(owner: User) -> None:
    assert signed_in(owner).get(HERE).status_code == 405
