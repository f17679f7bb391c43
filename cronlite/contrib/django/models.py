"""Which permission is there? Django makes it with the next `migrate`; there is no table."""

from __future__ import annotations

from django.db import models


class Site(models.Model):
    """Stands for the pages of the site, as Django ties each permission to a model."""

    class Meta:
        managed = False
        default_permissions = ()
        permissions = (("operate", "May change schedules and runs on cronlite's pages"),)
