"""The WSGI application that granian serves: the gate for what is asked all the time, and Django behind it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_django = get_wsgi_application()

from keys.gate import Gate  # noqa: E402 -- its models exist once Django is set up

application = Gate(_django)
