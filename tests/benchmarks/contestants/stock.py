"""The same empty view behind the middleware that `django-admin startproject` puts before every view."""

from tests.benchmarks.contestants.empty import application, checking, seed

__all__ = ["application", "checking", "seed"]
