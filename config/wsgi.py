"""The WSGI application that granian serves: the gate for what is asked all the time, and Django behind it.

In front of both stand the probes of orchestrators and, where they are on, the metrics.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)

from django.conf import settings  # noqa: E402 -- Django is set up first

from config import metrics  # noqa: E402
from config.probes import Probes  # noqa: E402
from config.requests import Handler  # noqa: E402
from keys.gate import Gate  # noqa: E402

application = Probes(Gate(Handler()))
if settings.KEYRACK_METRICS_TOKEN:
    metrics.switch_on()
    application = Probes(metrics.Measured(Gate(Handler())))
