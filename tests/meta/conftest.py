"""What the tests of the project's promises share with those of its pages."""

from tests.web.conftest import _static_files_are_looked_up  # noqa: F401 -- a fixture
