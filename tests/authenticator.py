"""An authenticator app, as a phone has one: RFC 6238 written down again, so that nothing proves itself."""

import base64
import hashlib
import hmac
import time
from datetime import datetime, timedelta

from django.utils import timezone

from projects import second_factor
from projects.audit import Actor
from projects.models import User


class App:
    """Knows one secret, whichever way it was typed in, and shows codes."""

    def __init__(self, secret: str) -> None:
        self.secret = "".join(secret.split())
        self.recovery_codes: list[str] = []

    def code(self, at: datetime | None = None, *, steps: int = 0) -> str:
        """Return the code that the app shows at a time (now), or so many half minutes later."""
        seconds = at.timestamp() if at else time.time()
        counter = int(seconds) // 30 + steps
        key = base64.b32decode(self.secret)
        mac = hmac.new(key, counter.to_bytes(8, "big"), hashlib.sha1).digest()
        offset = mac[-1] & 15
        number = int.from_bytes(mac[offset : offset + 4], "big") & 0x7FFFFFFF
        return f"{number % 1_000_000:06}"

    def wrong_code(self) -> str:
        """Return six digits that the app shows neither now nor a while before or after."""
        shown = {self.code(steps=steps) for steps in range(-3, 4)}
        return next(code for code in map("{:06}".format, range(10)) if code not in shown)


def enrol(user: User, at: datetime | None = None) -> App:
    """Give the person a second factor, an hour ago: the code that is shown now is unused."""
    at = (at or timezone.now()) - timedelta(hours=1)
    app = App(second_factor.new_secret())
    actor = Actor.system()
    app.recovery_codes = second_factor.turn_on(user, app.secret, app.code(at), actor=actor, at=at)
    return app
