"""djangorestframework-api-key as its documentation has it set up, in a project that is otherwise new."""

from tests.benchmarks.contestants.api_key import application, checking, seed

__all__ = ["application", "checking", "seed"]
