"""Where is a password of the store or the broker shown to whoever looks: Django's debug page, the list of processes?"""

import os
import subprocess
import sys
from pathlib import Path

PROJECT = """
import os, sys
import django
from django.conf import settings

urlpatterns = []

settings.configure(
    DEBUG=True, INSTALLED_APPS=["cronlite.contrib.django"], SECRET_KEY="x", ROOT_URLCONF="__main__",
    CRONLITE={"URI": "mongodb://app:s3cret@127.0.0.1:1/x?timeoutMS=200", "DISPATCH": "amqp://app:s3cret@127.0.0.1:1/x"},
)
django.setup()
from django.test import RequestFactory
from django.views.debug import ExceptionReporter

request = RequestFactory().get("/", **os.environ)  # as the development server has it
try:
    raise ValueError
except ValueError:
    reporter = ExceptionReporter(request, *sys.exc_info())
for told in (reporter.get_traceback_html(), reporter.get_traceback_text()):
    assert "CRONLITE" in told
    print(told)
"""


def test_the_debug_page_of_django_hides_them() -> None:
    environment = {**os.environ, "CRONLITE_URI": "mongodb://app:s3cret@127.0.0.1:1/x"}
    told = subprocess.run([sys.executable, "-c", PROJECT], capture_output=True, text=True, check=True, env=environment)
    assert "s3cret" not in told.stdout


def test_a_daemon_says_that_its_password_is_to_be_seen_in_the_list_of_processes(tmp_path: Path) -> None:
    cronlite = [sys.executable, "-m", "cronlite"]
    uri = "mongodb://app:s3cret@127.0.0.1:1/x?timeoutMS=200"
    typed = subprocess.Popen([*cronlite, "--uri", uri, "run", "--seats", "0"], stderr=subprocess.PIPE, text=True)
    environment = {**os.environ, "CRONLITE_URI": uri}
    given = subprocess.Popen([*cronlite, "run", "--seats", "0"], stderr=subprocess.PIPE, text=True, env=environment)
    for daemon, told in ((typed, True), (given, False)):
        assert daemon.stderr is not None
        line = daemon.stderr.readline()
        daemon.kill()
        daemon.communicate()
        assert ("CRONLITE_URI" in line) == told, line
        assert "s3cret" not in line
