from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Registers what belongs to the whole installation: its checks and its log of sign-ins."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401
        from projects import signins  # noqa: F401
