from django.apps import AppConfig
from django.db.models.signals import post_migrate

from projects.triggers import install_after_migrate


class ProjectsConfig(AppConfig):
    name = "projects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        post_migrate.connect(install_after_migrate, sender=self, dispatch_uid="keyrack_triggers")
