from typing import Any

from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from projects.catalogue import scopes_leaving
        from projects.lifecycle import project_ending, project_founded

        project_founded.connect(make_automator, dispatch_uid="keyrack_automator")
        scopes_leaving.connect(refuse_scopes_in_use, dispatch_uid="keyrack_scopes_in_use")
        project_ending.connect(what_stops, dispatch_uid="keyrack_what_stops")


def make_automator(*, project: Any, **_: Any) -> None:
    """Receiver: every project has its Automator Key from its first moment, whatever made it."""
    from keys.lifecycle import found_automator

    found_automator(project, project.created_at)


def refuse_scopes_in_use(*, project: Any, scopes: Any, at: Any, **_: Any) -> None:
    """Receiver: a scope that a living key holds stays in the catalogue."""
    from keys import catalogue

    catalogue.refuse_scopes_in_use(project, scopes, at)


def what_stops(*, project: Any, at: Any, **_: Any) -> list[str]:
    """Receiver: how many keys stop working with the project."""
    from keys import endings

    return endings.what_stops(project, at)
