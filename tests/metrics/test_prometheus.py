"""Does a real Prometheus understand what a real daemon says, and do rules and dashboard ask for what is there?"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from cronlite import Cronlite
from tests.metrics.scraping import scraped
from tests.services import MissingService, skip_or_fail
from tests.services.process import free_port
from tests.services.prometheus import Prometheus, tool
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.xdist_group("prometheus")  # which is started once

RULES = ROOT / "deploy" / "prometheus-rules.yaml"
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
APPLICATION = """
import time
import cronlite
from cronlite.metrics import asked

asked.PAUSE = asked.LEAST_PAUSE_SECONDS = 0  # each scrape asks the store

@cronlite.handler
def ok(params):
    pass

@cronlite.handler
def bad(params):
    raise ValueError

@cronlite.handler(isolation="process")
def apart(params):
    pass

@cronlite.handler
def waits(params):
    time.sleep(600)
"""


def promtool(*words: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    try:
        binary = tool("promtool")
    except MissingService as missing:
        skip_or_fail(missing)
    return subprocess.run([binary, *words], input=given, cwd=ROOT, capture_output=True, text=True, check=False)


def succeeded(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_can_be_read() -> None:
    succeeded(promtool("check", "rules", RULES))


def test_the_rules_tell_of_what_is_wrong_and_of_nothing_else() -> None:
    succeeded(promtool("test", "rules", ROOT / "tests" / "deploy" / "prometheus-rules-test.yaml"))


class Scraped:
    """A daemon in a process of its own, scraped by Prometheus, and what it was asked to do."""

    def __init__(self, cron: Cronlite, port: int, prometheus: Prometheus) -> None:
        self.cron, self.port, self.prometheus = cron, port, prometheus

    def until(self, expression: str) -> None:
        """Wait until an expression gives something other than zero."""
        wait_until(
            lambda: self.prometheus.value(expression),
            what=expression,
            instead=lambda: f"{scraped(self.port)}\n{self.prometheus.log_tail()}",
            interval_seconds=0.1,
        )


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    folder = tmp_path_factory.mktemp("scraped")
    (folder / "figures_app.py").write_text(APPLICATION)
    uri, port = f"sqlite:{folder / 'cronlite.db'}", free_port()
    with ExitStack() as ends:
        cron = ends.enter_context(Cronlite(uri))
        nightly = cron.schedule("", {}, minute=0, handler="ok", name="nightly", tags=["watched"])
        command = [sys.executable, "-m", "cronlite", "--uri", uri, "-A", "figures_app", "run", "--metrics", str(port)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
        try:
            server = Prometheus(port, RULES)
        except MissingService as missing:
            skip_or_fail(missing)
        ends.callback(server.close)
        # Nobody can write, so that the daemon is scraped before it ticks: what is there at once has not risen.
        locked = ends.enter_context(closing(sqlite3.connect(folder / "cronlite.db", isolation_level=None)))
        locked.execute("BEGIN IMMEDIATE")
        daemon = ends.enter_context(subprocess.Popen([*command, "--drain-seconds", "0"], cwd=folder, env=environment))
        ends.callback(daemon.terminate)
        server.start()
        found = Scraped(cron, port, server)
        found.until("cronlite_tick_duration_seconds_count == bool 0")
        locked.execute("COMMIT")
        for handler in ("ok", "bad", "apart"):
            cron.enqueue(handler)
        cron.enqueue("waits")
        cron.enqueue("nobody_has_it")
        cron.trigger(nightly.id)
        yield found


def test_prometheus_reads_every_series_as_it_is_meant(prometheus: Scraped) -> None:
    prometheus.until('cronlite_runs_total{handler="ok", state="succeeded"} == 2')
    prometheus.until('cronlite_runs_total{handler="apart", state="succeeded"} == 1')
    prometheus.until('cronlite_runs_total{handler="bad", state="failed"} == 1')
    prometheus.until('cronlite_run_duration_seconds_count{handler="ok"} == 2')
    prometheus.until('cronlite_start_delay_seconds_count{queue="default"} == 5')
    prometheus.until("cronlite_seats == 20 and cronlite_seats_used == 1")
    prometheus.until("cronlite_threads_stuck == bool 0")
    prometheus.until("cronlite_tick_duration_seconds_count > 0")
    prometheus.until("time() - cronlite_last_tick_timestamp_seconds < 120")
    prometheus.until('cronlite_queue_runs{queue="default"} == 1')
    prometheus.until('cronlite_queue_oldest_seconds{queue="default"} > 0')
    prometheus.until('cronlite_daemons{state="alive"} == 1')
    prometheus.until('cronlite_schedules{state="enabled"} == 1')
    prometheus.until('time() - cronlite_schedule_last_success_timestamp_seconds{schedule="nightly"} < 600')
    prometheus.until('cronlite_build_info{version!=""}')
    for counter in ("minutes_missed", "store_errors", "leases_lost"):
        prometheus.until(f"cronlite_{counter}_total >= bool 0")


def test_promtool_finds_nothing_to_mend_but_a_unit_that_is_meant(prometheus: Scraped) -> None:
    families = re.split(r"(?=^# HELP )", scraped(prometheus.port), flags=re.MULTILINE)
    # Minutes missed are things to count: ticks, not the length of a time.
    others = "".join(family for family in families if "cronlite_minutes_missed" not in family)
    succeeded(promtool("check", "metrics", given=others))


def test_prometheus_takes_the_rules_and_tells_of_the_run_that_failed(prometheus: Scraped) -> None:
    prometheus.until('ALERTS{alertname="CronliteRunsFail", handler="bad", state="failed"}')
    assert not prometheus.prometheus.query('ALERTS{alertname=~"CronliteNobody.*"}')


@pytest.mark.parametrize(
    ("panel", "target"),
    [(panel, target) for panel in PANELS for target in panel["targets"]],
    ids=lambda given: f"{given['title']}" if "title" in given else given["refId"],
)
def test_each_query_of_the_dashboard_finds_what_happened(
    prometheus: Scraped, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    asked = target["expr"]
    for variable, value in (("$job", ".*"), ("$__rate_interval", "1m"), ("$__range", "5m")):
        asked = asked.replace(variable, value)
    assert "$" not in asked
    answer = wait_until(lambda: prometheus.prometheus.query(asked), what=asked)
    labels = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
    assert all(labels <= set(series["metric"]) for series in answer), answer
    wait_until(
        lambda: any(series["value"][1] != "NaN" for series in prometheus.prometheus.query(asked)),
        what=f"{asked} is a number",
    )


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    assert isinstance(DASHBOARD["schemaVersion"], int)
    assert {"title", "uid", "time", "templating", "refresh"} <= set(DASHBOARD)
    variables = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert variables == {"datasource": "datasource", "job": "query"}
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["type"] in {"stat", "timeseries"}
        assert panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in {"short", "s", "bytes"}
        assert panel["datasource"] == source
        assert all(target["datasource"] == source and target["expr"] for target in panel["targets"])
        letters = [target["refId"] for target in panel["targets"]]
        assert letters == sorted(set(letters))


def test_no_panel_of_the_dashboard_covers_another() -> None:
    def covered(panel: dict[str, Any]) -> set[tuple[int, int]]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        columns, rows = range(place["x"], place["x"] + place["w"]), range(place["y"], place["y"] + place["h"])
        return {(x, y) for x in columns for y in rows}

    assert not any(covered(one) & covered(other) for one, other in combinations(PANELS, 2))


def test_rules_and_dashboard_ask_for_nothing_that_no_daemon_tells(prometheus: Scraped) -> None:
    asked = set(re.findall(r"cronlite_\w+|process_\w+", RULES.read_text() + json.dumps(PANELS)))

    def lacking() -> set[str]:
        return asked - set(re.findall(r"^(\w+)", scraped(prometheus.port), flags=re.MULTILINE))

    wait_until(lambda: not lacking(), what="all that is asked for is told", instead=lacking)
