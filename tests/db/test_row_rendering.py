"""The quick rendering of rows is the templates' own, whatever a row holds."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from django.template import Context, Template
from django.template.loader import get_template

from keys import lifecycle
from keys.drafts import Draft
from keys.kinds import KeyType
from keys.models import Key, KeyActivity
from keys.rows import Row
from projects.audit import Actor
from projects.models import Project, Role, User
from tests.factories import ChannelFactory, IssuedFactory, acting

pytestmark = pytest.mark.django_db

QUICK: Final = Template("{% load rows %}{% rows shown name %}")
NAMES: Final = (
    "Docs crawler", "<b>bold</b> & 'quoted' \"twice\"", "{{ project.slug }}", "{% now %}", "Zq7xV001Vx7Z",
    "zq7xv-slug-vx7z", "日本語", "0",
)  # fmt: skip


@pytest.fixture
def keys(project: Project, owner: User, at: datetime) -> list[Key]:
    """Keys in every state, and with every odd name."""
    actor = acting(owner, project)
    ChannelFactory(project=project, slug="bot", name="Bot & <co>")
    for name in NAMES:
        IssuedFactory(project=project, name=name, actor=actor, at=at)
    lifetimes = (timedelta(hours=1), timedelta(days=5), timedelta(days=200))
    for number, kind in enumerate((KeyType.PRIVILEGED, KeyType.VIEWER, KeyType.AGENT)):
        made = at - timedelta(days=100 * number)
        end = None if kind == KeyType.AGENT else made + lifetimes[number]
        draft = Draft(f"Kind {number}", kind, expires_at=end, note="<i>")
        lifecycle.issue(project, draft, actor=actor, at=made, confirmed=bool(number % 2))
    IssuedFactory(project=project, name="Bot", type=KeyType.CHANNEL, channel="bot", holder="Otis <o>", at=at)
    rotated, paused, revoked = (IssuedFactory(project=project, name=f"To end {n}").key for n in range(3))
    lifecycle.rotate(project, rotated.key_id, grace=timedelta(days=1), actor=actor, at=at)
    lifecycle.pause(project, paused.key_id, actor=actor, at=at)
    lifecycle.revoke(project, revoked.key_id, actor=actor, at=at, reason="Leaked <in> a log")
    used = KeyActivity.objects.filter(key__name__in=NAMES[:4])
    used.update(last_used_at=at, last_used_address="192.0.2.41", last_used_client="<curl>")
    return list(Key.objects.of(project))


@pytest.mark.parametrize("name", ["row", "agent", "ended"])
@pytest.mark.parametrize("role", [Role.OWNER, Role.VIEWER])
def test_it_says_what_the_template_says(
    project: Project, keys: list[Key], owner: User, at: datetime, name: str, role: Role
) -> None:
    shown = [
        Row.of(key, Actor.person(owner, role), at)
        for key in keys
        # Only what was revoked stands in the table of such keys.
        if name != "ended" or key.is_revoked(at)
    ]
    template = f"keys/partials/{name}.html"
    for row in shown:
        context: dict[str, Any] = {"project": project, "row": row}
        expected = get_template(template).render(context)
        quick = QUICK.render(Context({"project": project, "shown": [row], "name": template}))
        assert quick == expected
    assert len(shown) >= (1 if name == "ended" else 15)
