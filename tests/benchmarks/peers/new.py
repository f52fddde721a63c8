"""Settings of a new project with the peer's package added: nothing else is changed from the defaults."""

from tests.benchmarks.peers import settings as favourable
from tests.benchmarks.peers.stock import *  # noqa: F403
from tests.benchmarks.peers.stock import INSTALLED_APPS as STOCK_APPS

INSTALLED_APPS = [*STOCK_APPS, "rest_framework", "rest_framework_api_key"]
ROOT_URLCONF = "tests.benchmarks.peers.new_urls"
# A connection for each request, as Django has it unless told otherwise.
DATABASES = {"default": favourable.DATABASES["default"] | {"CONN_MAX_AGE": 0}}
REST_FRAMEWORK = {"DEFAULT_PERMISSION_CLASSES": ["rest_framework_api_key.permissions.HasAPIKey"]}
