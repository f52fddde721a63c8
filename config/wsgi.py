"""The WSGI application that granian serves: the gate for what is asked all the time, and Django behind it."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from config.requests import Handler  # noqa: E402 -- Django is set up first
from keys.gate import Gate  # noqa: E402

application = Gate(Handler())
