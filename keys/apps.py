from typing import Any

from django.apps import AppConfig


class KeysConfig(AppConfig):
    name = "keys"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from projects.lifecycle import project_founded

        project_founded.connect(make_automator, dispatch_uid="keyrack_automator")


def make_automator(*, project: Any, **_: Any) -> None:
    """Receiver: every project has its Automator Key from its first moment, whatever made it."""
    from keys.lifecycle import found_automator

    found_automator(project, project.created_at)
