"""The project keeps everything in the folder $GALLERY_HOME."""

import os
from pathlib import Path

HOME = Path(os.environ["GALLERY_HOME"])

SECRET_KEY = "not one"
ALLOWED_HOSTS = ["*"]
USE_TZ = True
ROOT_URLCONF = "tests.web.django_project.urls"
INSTALLED_APPS = ["django.contrib.staticfiles", "cronlite.contrib.django", "tests.web.django_project.gallery"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / "gallery.db",
        "OPTIONS": {"timeout": 20},
        "TEST": {"NAME": HOME / "gallery.db"},  # so that a handler's child process works on the same
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MEDIA_ROOT = HOME / "media"
STATIC_URL = "static/"

CRONLITE = {"URI": f"sqlite:{HOME / 'cronlite.db'}", "SEATS": 2, "DRAIN_SECONDS": 5}
