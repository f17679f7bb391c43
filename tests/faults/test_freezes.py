"""A kill -9 around the end of a freeze, or half-way in a backfill, makes nothing run twice, and nothing go missing."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta

import pytest

from cronlite.documents.freezes import Freeze
from tests.faults import report
from tests.faults.conftest import MONGOD_QUICKLY, quickly
from tests.faults.fleet import ROOT, Fleet
from tests.waiting import wait_until

MINUTE = timedelta(minutes=1)
KILLED = -signal.SIGKILL
AROUND_A_THAW = {
    "before what it held back is looked up": "kill before held_back 1",
    "before what makes up for it is queued": "kill after held_back 1",
    "after that, before the freeze is signed off": "kill before change_freeze 1",
    "after the freeze is signed off": "kill after change_freeze 1",
}
HALF_WAY = {
    "after the second write": "kill after add_runs 2",
    "before the lane is let go": "kill before release_lanes 2",
}


@MONGOD_QUICKLY
@pytest.mark.parametrize("name", quickly(AROUND_A_THAW, "after that, before the freeze is signed off"))
def test_killed_around_the_end_of_a_freeze(any_fleet: Fleet, name: str) -> None:
    fleet, end = any_fleet, any_fleet.first + 3 * MINUTE
    ids = fleet.schedule(5)
    with fleet.store() as store:
        store.add_freeze(Freeze(id="f1", from_at=fleet.first, until_at=end, afterwards="run"))
    assert fleet.start(AROUND_A_THAW[name]).wait_ended() == KILLED
    fleet.start()
    wait_until(lambda: fleet.now() > end + 2 * MINUTE, what="two minutes after the end")
    last = end + 2 * MINUTE
    made_up = [fleet.wait_for_run(f"{id_}@{end - MINUTE:%Y-%m-%dT%H:%MZ}", _succeeded) for id_ in ids]
    for id_ in ids:
        fleet.wait_for_run(f"{id_}@{last:%Y-%m-%dT%H:%MZ}", _succeeded)
    fleet.stop_all()
    found, starts = fleet.evidence(), [line.run for line in fleet.journal() if line.event == "start"]
    frozen = [run["state"] for run in found.runs.values() if fleet.first <= run["due_at"] < end - MINUTE]
    assert frozen == ["skipped"] * 10
    assert {run["freeze"] for run in made_up} == {"f1"}
    # One that the killed daemon had claimed already is begun once more, as any other would be.
    assert all(run["attempt"] == 1 + run["crashes"] for run in made_up), made_up
    assert all(1 <= starts.count(run["_id"]) <= run["attempt"] for run in made_up)
    assert [one["frozen"] for one in found.ticks if fleet.first <= one["_id"] < end] == [5] * 3
    report.add(f"kill -9 {name}, at the end of a freeze", "once", "ok: 15 held back, 5 made up for, each once")


@MONGOD_QUICKLY
@pytest.mark.parametrize(
    "name", quickly(["after the second write", "before the lane is let go"], "after the second write")
)
def test_killed_half_way_in_a_backfill(any_fleet: Fleet, name: str) -> None:
    fleet = any_fleet
    (id_,) = fleet.schedule(overlap="skip", minute="*")
    start, end = fleet.first - 30 * MINUTE, fleet.first - 20 * MINUTE
    words = [fleet.uri, str(fleet.folder), id_, start.isoformat(), end.isoformat()]
    assert _backfill(fleet, *words, HALF_WAY[name]) == KILLED
    assert len(fleet.evidence().runs) == 6
    assert _backfill(fleet, *words) == 0
    assert _backfill(fleet, *words) == 0
    fleet.start()
    ids = [f"{id_}@{start + n * MINUTE:%Y-%m-%dT%H:%MZ}" for n in range(10)]
    runs = [fleet.wait_for_run(run_id, _succeeded) for run_id in ids]
    fleet.stop_all()
    starts = [line.run for line in fleet.journal() if line.event == "start" and line.run in ids]
    assert starts == ids
    assert len({run["backfill"] for run in runs}) == 1
    report.add(f"kill -9 {name} of a backfill", "once", "ok: 10 runs, each once, in order")


def _succeeded(run: dict[str, object]) -> bool:
    return run["state"] == "succeeded"


def _backfill(fleet: Fleet, *words: str) -> int:
    command = [sys.executable, "-m", "tests.faults.backfilling", *words]
    return subprocess.run(command, cwd=ROOT, timeout=60, check=False).returncode
