from typing import Any

from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from projects.lifecycle import project_founded, scopes_leaving

        project_founded.connect(make_automator, dispatch_uid="keyrack_automator")
        scopes_leaving.connect(refuse_scopes_in_use, dispatch_uid="keyrack_scopes_in_use")


def make_automator(*, project: Any, **_: Any) -> None:
    """Receiver: every project has its Automator Key from its first moment, whatever made it."""
    from keys.lifecycle import found_automator

    found_automator(project, project.created_at)


def refuse_scopes_in_use(*, project: Any, scopes: Any, at: Any, **_: Any) -> None:
    """Receiver: a scope that a living key holds stays in the catalogue."""
    from keys import catalogue

    catalogue.refuse_scopes_in_use(project, scopes, at)
