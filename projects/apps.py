from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from projects.triggers import install_after_migrate, remove_before_migrate


class ProjectsConfig(AppConfig):
    name = "projects"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        pre_migrate.connect(remove_before_migrate, sender=self, dispatch_uid="keyrack_triggers_off")
        post_migrate.connect(install_after_migrate, sender=self, dispatch_uid="keyrack_triggers")
