"""What happens when Django starts: the settings are checked, and each app's `handlers.py` is imported."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class CronliteConfig(AppConfig):
    """The app of INSTALLED_APPS."""

    name = "cronlite.contrib.django"
    label = "cronlite"
    verbose_name = "cronlite"

    def ready(self) -> None:
        """Raise ImproperlyConfigured for wrong settings; register the project's handlers."""
        from cronlite.contrib.django.project import current

        current()
        autodiscover_modules("handlers")
