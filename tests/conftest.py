"""What every test may use."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.cache import cache
from django.template import Template
from hypothesis import settings

from keys.activity import SPILL, Activity, activity
from tests import collected

# The project and its people: owner, admin, operator, viewer; and an outsider.
pytest_plugins = ["tests.cast", "tests.emptying", "tests.one_database", "tests.spreading"]

# A machine that is busy makes no property false.
settings.register_profile("keyrack", deadline=None)
settings.load_profile("keyrack")

# Before pytest-django puts the test client's in its place.
_RENDER = Template._render  # type: ignore[attr-defined]

# Tests under these render pages, which name the static files by their contents.
_PAGES = ("tests/web/", "tests/browser/", "tests/meta/")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-browser", action="store_true", help="leave the browser tests out")
    parser.addoption("--only-browser", action="store_true", help="leave all other tests out")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Read no file of which all tests are left out, where nobody named files: reading takes a while."""
    tests = config.rootpath / "tests"
    if [Path(argument).resolve() for argument in config.args] != [tests] or collection_path.parent != tests:
        return None
    is_browser = collection_path.name == "browser"
    return config.getoption("--no-browser" if is_browser else "--only-browser") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    root = config.rootpath
    for item in items:
        path = item.path.relative_to(root).as_posix()
        if path.startswith(_PAGES):
            item.fixturenames.insert(0, "static_files")  # type: ignore[attr-defined]
        if path.startswith("tests/browser/"):
            item.add_marker("browser")
    for option, is_left_out in (("--no-browser", True), ("--only-browser", False)):
        if config.getoption(option):
            left_out = [item for item in items if bool(item.get_closest_marker("browser")) is is_left_out]
            items[:] = [item for item in items if bool(item.get_closest_marker("browser")) is not is_left_out]
            config.hook.pytest_deselected(items=left_out)


def pytest_collection_finish() -> None:
    """Keep what stays to the end (modules, thousands of tests) out of all collecting of garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def static_files() -> None:
    """The static files as production serves them: named by their contents and compressed."""
    collected.collect()


@pytest.fixture(scope="session", autouse=True)
def _contexts_are_not_kept(django_test_environment: None) -> Iterator[None]:
    """Templates render as in production: Django's test client would copy each context, which nobody asks for.

    A page that is made of many templates takes a fifth longer with it.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", _RENDER)
        yield


@pytest.fixture(autouse=True)
def _no_throttle_from_before() -> None:
    cache.clear()


@pytest.fixture(scope="session", autouse=True)
def _no_writer() -> Iterator[None]:
    """No thread writes counts into a test's database: a test that wants them says `activity.flush()`.

    For the whole session, since what lives longer than a test checks keys as well.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Activity, "_start", lambda self: None)
        yield


@pytest.fixture(autouse=True)
def _counted_by_hand() -> None:
    """A test counts its own checks alone."""
    activity._buffer, activity._day = activity._empty(), type(activity._day)(0, SPILL)
