"""Django's command line; run it with `python -m`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.web.django_project.settings")
    execute_from_command_line(["manage.py", *sys.argv[1:]])
