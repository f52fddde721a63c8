#!/usr/bin/env python3
"""Keyrack's command line: `manage.py help` lists the commands."""

import os
import sys

if sys.version_info < (3, 11):  # noqa: UP036 -- it is what an older Python gets to read
    sys.exit("Keyrack needs Python 3.11 or newer, and this is {}.{}.".format(*sys.version_info))


def main() -> None:
    """Run a command. A setting that can't be used ends it with one line instead of a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line

    try:
        settings.INSTALLED_APPS  # noqa: B018 -- reads the environment
    except ImproperlyConfigured as error:
        sys.exit(f"Keyrack can't start. {error}")
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
