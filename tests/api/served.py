"""Keyrack as it is served, by granian, over the database of the tests: `python -m tests.api.served`.

A process of its own, since what a server makes of odd headers is a part of what is tested.
"""

import os
import sys
from typing import Any

from config import server


def load(_target: str) -> Any:
    """Return the application, inside the worker process."""
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = os.environ["TESTS_DATABASE"]
    return server.load(_target)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    server.serve(int(sys.argv[1]), load, threads=3)
