"""What does all of it look like, in one minute and on a throw-away file?"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import click

from cronlite.cli import render, week
from cronlite.cli.runs import shown
from cronlite.cli.schedules import next_runs
from cronlite.cli.streams import say
from cronlite.cli.web import prepared
from cronlite.client.app import Cronlite
from cronlite.documents import runs
from cronlite.documents.runs import Run
from cronlite.documents.schedules import Schedule
from cronlite.errors import CronliteError
from cronlite.handlers import output
from cronlite.handlers.registry import Registry
from cronlite.when import clock

LIMIT_SECONDS = 90.0
_LOOK_SECONDS = 0.1
_HANDLER = """\
    @cronlite.handler
    def hello(params):
        print(f"Hello, {params['who']}!")
        return {"greeted": params["who"]}
"""
_NEXT = """\
That was all of it. Now with your own, in a file tasks.py:

    import cronlite

{handler}
    cronlite add --name greet --handler hello --cron '*/5 * * * *' \\
                 --params '{{"who": "me"}}'
    cronlite -A tasks run                       the daemon; and elsewhere:
    cronlite list                               what will run
    cronlite runs                               what ran
    cronlite log greet                          the last run, with its output
    cronlite --help                             all commands
"""


@click.command()
@click.option("--web", is_flag=True, help="See the site instead, with a week of made-up history.")
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8033", show_default=True, help="Where to serve it.")
def demo(web: bool, listen: str) -> None:
    """See the whole thing in one minute, on a throw-away file.

    With --web, a site is served on a week of history: made by the real engine on a clock that is cranked, with handlers
    that succeed, fail, are retried and take their time, and some hours without a daemon.
    """
    if web:
        _site(listen)
        return
    registry = Registry()
    registry.add("hello", _hello)
    with tempfile.TemporaryDirectory(prefix="cronlite-demo-") as folder:
        uri = f"sqlite:{Path(folder) / 'demo.db'}"
        with Cronlite(uri, registry=registry) as cron:
            schedule = _begin(cron, uri)
            with output.capture_prints(), output.capture_logs():
                cron.start()
                run = _awaited(cron, schedule)
            say(f"\n{_heading('The run is on record')}: {render.coloured(run.state)}\n")
            say("\n".join(f"    {line}" for line in shown(cron, run).split("\n")))
    if run.state != runs.SUCCEEDED:
        raise CronliteError(f"the demo's run should have succeeded, but is {run.state}")
    say(f"\n{_NEXT.format(handler=_HANDLER)}", end="")


def _site(listen: str) -> None:
    """Make a week, let a daemon go on with it, and serve the site, until somebody ends that."""
    serve = prepared(listen)  # before the week, which takes a while
    work = week.Work()
    with tempfile.TemporaryDirectory(prefix="cronlite-demo-") as folder:
        path = Path(folder) / "demo.db"
        say(f"cronlite demo, on a throw-away file\n\n    sqlite:{path}\n")
        say("A week of history, made by the real engine on a clock that is cranked: day", end="")
        week.make(path, datetime.now(timezone.utc), told=lambda day: say(f" {day}", end=""))
        say("\n")
        with Cronlite(f"sqlite:{path}", registry=work.registry) as cron:
            say("A daemon goes on with it now, and one of its runs tells how far it is:\n")
            with output.capture_prints(), output.capture_logs():
                cron.start(seats=8, drain_seconds=0)
                run = cron.enqueue("export", {"dataset": "sales"}, user="finance")
                say(f"    http://{listen}/run?id={run.id}\n")
                serve(cron)


def _hello(params: dict[str, str]) -> dict[str, str]:
    print(f"Hello, {params['who']}!")
    return {"greeted": params["who"]}


def _begin(cron: Cronlite, uri: str) -> Schedule:
    cron.store.prepare()
    say(f"cronlite demo, on a throw-away file\n\n    {uri}\n")
    say(f"{_heading('A handler is a function of yours')}\n\n{_HANDLER}")
    schedule = cron.schedule("demo", {"who": "world"}, handler="hello", name="greet")
    say(f"{_heading('A schedule says when to call it, and with what')}\n")
    say("    cronlite add --name greet --handler hello --cron '* * * * *' \\")
    say('                 --params \'{"who": "world"}\'\n')
    say(f"    {schedule.describe()}")
    say(f"{next_runs(schedule, cron.now(), '    ')}\n")
    return schedule


def _awaited(cron: Cronlite, schedule: Schedule) -> Run:
    """Wait until the schedule's first run has ended, counting the seconds down where somebody watches."""
    wake = clock.next_wake(schedule.next_runs(cron.now(), 1)[0])
    say(f"{_heading('A daemon wakes one second after each minute')}: next at {wake:%H:%M:%S} UTC\n")
    limit = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < limit:
        last = cron.runs(schedule=schedule.id, limit=1)
        if last and last[0].state in runs.FINAL:
            return last[0]
        _count_down((wake - datetime.now(timezone.utc)).total_seconds())
        time.sleep(_LOOK_SECONDS)
    raise CronliteError(f"the demo's run did not end within {LIMIT_SECONDS:g} s")


def _count_down(seconds: float) -> None:
    if sys.stdout.isatty():
        left = f"    in {seconds:.0f} s" if seconds >= 1 else ""
        # A line that is wiped each time; once the minute has come, it is left to what the handler prints.
        if seconds > 0:
            click.echo(f"\r\033[K{left}", nl=False)


def _heading(text: str) -> str:
    return click.style(text, bold=True)
