"""Settings of the tests: Keyrack's own, over a fresh data folder, with passwords that cost nothing.

`python -m tests` chooses the database with DATABASE_URL and REDIS_URL; no other variable of whoever runs
the tests gets through.
"""

import atexit
import os
import shutil
import tempfile
from urllib.parse import urlsplit

for _name in [name for name in os.environ if name.startswith("KEYRACK_") or name == "PORT"]:
    # The one that asks the browser tests for pictures isn't a setting of Keyrack's.
    if _name != "KEYRACK_SCREENSHOTS":
        del os.environ[_name]
os.environ["KEYRACK_DATA"] = tempfile.mkdtemp(prefix="keyrack-tests-")
atexit.register(shutil.rmtree, os.environ["KEYRACK_DATA"], ignore_errors=True)

# Each of the processes that share the tests (`-n`) empties its cache between them: it has a Redis database of
# its own. What runs here without processes has the one that was given.
if "REDIS_URL" in os.environ and (_worker := os.environ.get("PYTEST_XDIST_WORKER", "")):
    _redis = urlsplit(os.environ["REDIS_URL"])
    os.environ["REDIS_URL"] = _redis._replace(path=f"/{int(_worker.removeprefix('gw')) + 1}").geturl()

from config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

# Tests that render no page don't collect the files; whitenoise wants their folder nevertheless.
STATIC_ROOT.mkdir()  # noqa: F405

# At once: what waits would come out with another test's.
LOGGING["handlers"]["stderr"]["class"] = "logging.StreamHandler"  # type: ignore[index]  # noqa: F405
