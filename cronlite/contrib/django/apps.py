"""What happens when Django starts: the settings are checked, and each app's `handlers.py` is imported."""

from __future__ import annotations

import re

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules
from django.views.debug import SafeExceptionReporterFilter


class CronliteConfig(AppConfig):
    """The app of INSTALLED_APPS."""

    name = "cronlite.contrib.django"
    label = "cronlite"
    verbose_name = "cronlite"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Raise ImproperlyConfigured for wrong settings; register the project's handlers."""
        from cronlite.contrib.django.project import current

        _hide_from_debug_pages()
        current()
        autodiscover_modules("handlers")


def _hide_from_debug_pages() -> None:
    """Let Django's debug page, and its mails to the administrators, hide CRONLITE and $CRONLITE_URI.

    Their URIs hold passwords, and by their names alone Django takes neither for a secret.
    """
    hidden = SafeExceptionReporterFilter.hidden_settings
    if "CRONLITE" not in hidden.pattern:
        SafeExceptionReporterFilter.hidden_settings = re.compile(f"{hidden.pattern}|CRONLITE", hidden.flags)
