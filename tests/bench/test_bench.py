"""Each benchmark runs, in sizes that measure nothing, and its table says what was measured."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cronlite.daemon.store_clock import steady
from tests.bench import __main__ as main
from tests.bench import profiled, stages
from tests.bench.__main__ import BENCHMARKS
from tests.bench.children import ChildFailed
from tests.bench.peers import CannotInstall, install
from tests.bench.rows import Row, Target, table
from tests.bench.setting import QUICK, Setting
from tests.bench.staged import StagedClock
from tests.services.mongod import Mongod

TINY = replace(
    QUICK,
    burst=50,
    curve=(20,),
    stored=(1_000, 1_100),
    stored_in_file=1_000,
    expressions=1_500,
    due=20,
    many_due=30,
    ticks=2,
    asked=5,
    idle_stored=1_000,
    idle_settle_seconds=0.1,
    idle_seconds=0.5,
    slow_runs=40,
    queued=1_000,
    starts=1,
    finished=100,
    expired=50,
    waiting=200,
    listed=50,
    asked_of_queue=20,
    computing=8,
    site_schedules=200,
    site_runs=500,
    browsers=True,
    applied=20,
)


@pytest.fixture(scope="module")
def setting(mongod: Mongod, tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """One for all benchmarks, as in earnest: what two of them need is measured once."""
    return Setting(mongod, tmp_path_factory.mktemp("bench"), TINY)


@pytest.mark.slow
@pytest.mark.mongod
@pytest.mark.xdist_group("bench")
@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_says_what_it_measured(name: str, mongod: Mongod, setting: Setting) -> None:
    rows = BENCHMARKS[name](setting)
    assert rows, "nothing was measured"
    for row in rows:
        assert row.benchmark == name
        assert row.value is not None, row
        assert math.isfinite(row.value), row
        assert json.dumps(row.as_json())
    with mongod.client() as client:
        assert [left for left in client.list_database_names() if left.startswith("bench_")] == []


def test_the_stopwatch_finds_every_seam() -> None:
    assert [seam for seam, owner, name in stages.SEAMS if not hasattr(owner, name)] == []


@pytest.mark.slow
@pytest.mark.mongod
@pytest.mark.xdist_group("bench")
def test_the_profile_of_a_burst_tells_of_each_seam(setting: Setting) -> None:
    told = profiled.report(setting)
    for seam in ("read schedule", "call, whole", "store.add_runs", "store.claim_runs", "store.change_runs"):
        assert told.count(seam) == 2, told


def test_one_benchmark_that_fails_costs_only_itself(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    row = Row(benchmark="start", what="", side="", values=[1], unit="/s")
    monkeypatch.setattr(main, "BENCHMARKS", {"scale": _fail, "start": lambda _: [row], "idle": _interrupt})
    rows, failed, seconds = main.measured(setting, ["scale", "start", "idle", "start"])
    assert rows == [row]
    assert failed == {"scale": "ChildFailed: no answer", "idle": "interrupted", "start": "interrupted"}
    assert list(seconds) == ["scale", "start", "idle"]


def _fail(_: Setting) -> list[Row]:
    raise ChildFailed("no answer")


def _interrupt(_: Setting) -> list[Row]:
    raise KeyboardInterrupt


def test_the_table_shows_targets_and_whether_they_were_met() -> None:
    row = Row(
        benchmark="burst",
        what="10,000 due, called",
        side="cronlite",
        values=[30_000, 20_000, 10_000],
        unit="/s",
        ratio=16.0,
        ratio_to="Agenda called",
        target=Target(least=15, of="ratio"),
    )
    slow = replace(row, side="Agenda", ratio=1.0)
    assert table([row, slow]).splitlines() == [
        "benchmark  what                side         median  spread                  compared            target  met",
        "---------  ------------------  --------  ---------  ----------------------  ------------------  ------  ---",
        "burst      10,000 due, called  cronlite  20,000 /s  10,000 … 30,000 (100%)  16 x Agenda called  ≥ 15 x  yes",
        "                               Agenda    20,000 /s  10,000 … 30,000 (100%)  1 x Agenda called   ≥ 15 x  NO",
    ]


def test_a_target_without_the_peer_that_it_compares_with_is_open() -> None:
    row = Row(benchmark="burst", what="", side="", values=[1], unit="/s", target=Target(least=15, of="ratio"))
    assert row.met == "?"


def test_a_peer_that_cannot_be_installed_is_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise CannotInstall("no network")

    monkeypatch.setattr("tests.bench.peers.run_installer", refuse)
    monkeypatch.setattr("shutil.which", lambda _: None)
    peers, told = install(tmp_path)
    assert peers == []
    assert told == {"Agenda": "left out: there is no node and npm", "APScheduler": "left out: no network"}


def test_a_staged_clock_leaves_out_the_idle_rest_of_each_minute() -> None:
    noon = datetime(2027, 3, 3, 12, tzinfo=timezone.utc)
    clock = StagedClock(noon, minute_seconds=2)
    assert clock.now() == clock.now() < noon
    clock.set_off(steady() - 4.5)
    assert noon + timedelta(minutes=2, seconds=0.5) <= clock.now() < noon + timedelta(minutes=2, seconds=1.5)
    to_wake = clock.seconds_until(noon + timedelta(minutes=3, seconds=1))
    assert 1.5 < to_wake <= 2.5
    assert clock.seconds_until(noon + timedelta(minutes=2, seconds=59)) == pytest.approx(to_wake - 1, abs=0.5)
