"""What the tests of members and invitations share: somebody whose password is known, and links to look at."""

from urllib.parse import urlsplit

from django.test import Client

from projects.invitations import Invited
from projects.models import User
from tests.web.pages import Page

PASSWORD = "correct horse battery"
EMAIL = "ines@example.test"
MEMBERS = "Members, owners first"
INVITATIONS = "Invitations, newest first"


def fresh(user: User) -> Client:
    """Return the client of somebody who has just signed in, and isn't asked for the password again."""
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    client = Client()
    response = client.post("/account/login/", {"login": user.email, "password": PASSWORD})
    assert response.status_code == 302
    return client


def path_of(link: str) -> str:
    return urlsplit(link).path


def url_of_link(given: Invited) -> str:
    return path_of(given.link)


def emails(page: Page, caption: str) -> list[str]:
    """Return the addresses in a table of the members page, in its order."""
    return [row["E-mail"].find("b")[0].text for row in page.rows(caption)]
