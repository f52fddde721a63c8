"""The WSGI application that granian serves: the gate for what is asked all the time, and Django behind it.

In front of both stand the probes of orchestrators and, where they are on, the metrics.
"""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()

from django.conf import settings  # noqa: E402 -- models exist once Django is set up

from config import metrics  # noqa: E402
from config.probes import Probes  # noqa: E402
from keys.gate import Gate  # noqa: E402

application = Probes(Gate(_django))
if settings.KEYRACK_METRICS_TOKEN:
    metrics.switch_on()
    application = Probes(metrics.Measured(Gate(_django)))
