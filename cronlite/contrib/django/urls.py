"""Where are the pages of the site in a Django project? `path("cron/", include("cronlite.contrib.django.urls"))`.

Staff may look at them; whoever has the permission `cronlite.operate` may change something, too.
"""

from __future__ import annotations

from django.urls import re_path

from cronlite.contrib.django.views import pages

app_name = "cronlite"
urlpatterns = [re_path(r"^(?P<path>.*)\Z", pages, name="site")]
