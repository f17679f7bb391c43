"""Ctrl-C at a development server that reloads: its daemon is gone with it, and what ran is free for the next one."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cronlite import Cronlite
from tests.waiting import wait_until
from tests.web.servers import Server

SERVED = """
import os, pathlib, time
from cronlite import Cronlite, handler

@handler
def hold(params):
    pathlib.Path("held").touch()
    time.sleep(600)

cron = Cronlite(os.environ["STORE"])

async def app(scope, receive, send):  # for uvicorn
    from cronlite.contrib.starlette import lifespan
    if scope["type"] == "lifespan":
        async with lifespan(cron, drain_seconds=1)(app):
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
"""
# Both wait a quarter of a second before they kill, which is enough for a machine that has nothing else to do.
PATIENT = """
import subprocess

class Patient(subprocess.Popen):
    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self._sigint_wait_secs = 20

subprocess.Popen = Patient
"""
DJANGO = (
    PATIENT
    + """
import sys
from django.conf import settings
from django.core.management import execute_from_command_line

urlpatterns = []

def application(environ, start):
    start("204 None", [])
    return []

if not settings.configured:
    settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="manage", WSGI_APPLICATION="manage.application")
from served import cron
if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    cron.start()
"""
)
WERKZEUG = (
    PATIENT
    + """
from werkzeug.serving import is_running_from_reloader, run_simple
from served import cron

def application(environ, start):
    start("204 None", [])
    return []

if __name__ == "__main__":
    import sys
    if is_running_from_reloader():
        cron.start()
    run_simple("127.0.0.1", int(sys.argv[1]), application, use_reloader=True)
"""
)
SERVERS = {
    "Django's runserver": ("manage", "runserver", "{port}"),
    "Werkzeug's, which is Flask's": ("work", "{port}"),
    "uvicorn --reload": ("uvicorn", "--reload", "--port", "{port}", "served:app"),
    "uvicorn": ("uvicorn", "--port", "{port}", "served:app"),
}


@pytest.fixture
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    command = SERVERS[request.param]
    pytest.importorskip({"manage": "django", "work": "werkzeug"}.get(command[0], command[0]))
    for name, text in {"served": SERVED, "manage": DJANGO, "work": WERKZEUG}.items():
        (tmp_path / f"{name}.py").write_text(text)
    with Server(tmp_path, *command, STORE=f"sqlite:{tmp_path / 'cronlite.db'}") as started:
        yield started


@pytest.fixture
def cron(tmp_path: Path) -> Iterator[Cronlite]:
    with Cronlite(f"sqlite:{tmp_path / 'cronlite.db'}") as opened:
        yield opened


def press_ctrl_c(server: Server) -> None:
    """A terminal sends it to everything that it has started; one that still imports its modules may not notice."""
    server.wait_for_answers()
    os.killpg(server.process.pid, signal.SIGINT)
    server.process.wait(60)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_an_idle_daemon_is_gone_with_its_server(server: Server, cron: Cronlite) -> None:
    wait_until(lambda: cron.store.daemons(), what="the daemon", instead=server.log)
    press_ctrl_c(server)
    wait_until(lambda: not cron.store.daemons(), what="it is gone", instead=server.log)


@pytest.mark.parametrize(
    ("server", "end"),
    [*((server, press_ctrl_c) for server in SERVERS), ("uvicorn", Server.stop)],
    indirect=["server"],
)
def test_a_busy_daemon_gives_its_runs_back(
    server: Server, end: Callable[[Server], object], cron: Cronlite, tmp_path: Path
) -> None:
    """After its drain, for which Django and Flask have no time; uvicorn dies of a SIGTERM, and skips atexit then."""
    wait_until(lambda: cron.store.daemons(), what="the daemon", instead=server.log)
    handle = cron.enqueue("hold")
    wait_until((tmp_path / "held").exists, what="the run begins", instead=server.log)
    end(server)
    wait_until(lambda: not cron.store.daemons(), what="it is gone", instead=server.log)
    assert (handle.state, handle.run.crashes) == ("queued", 0)
