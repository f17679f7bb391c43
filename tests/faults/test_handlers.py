"""Whatever a handler does ends in an outcome, and the daemon goes on."""

from __future__ import annotations

import math
from typing import Any

import bson
import pytest

from cronlite.documents.checks import LARGEST_PARAMS_BYTES, PARAMS_VARIABLE
from tests.faults.fleet import Fleet

HORRORS: dict[str, tuple[dict[str, Any], str]] = {
    "raises BaseException": ({"action": "raise", "kind": "base"}, "failed"),
    "calls sys.exit": ({"action": "raise", "kind": "exit"}, "failed"),
    "raises KeyboardInterrupt": ({"action": "raise", "kind": "interrupt"}, "failed"),
    "raises an unprintable error": ({"action": "raise", "kind": "unprintable"}, "failed"),
    "raises half a surrogate pair": ({"action": "raise", "kind": "surrogate"}, "failed"),
    "raises a message of 20 MB": ({"action": "raise", "kind": "long"}, "failed"),
    "runs out of stack": ({"action": "recurse"}, "failed"),
    "returns 20 MB": ({"action": "result", "kind": "big"}, "succeeded"),
    "returns NaN": ({"action": "result", "kind": "nan"}, "succeeded"),
    "returns a cyclic list": ({"action": "result", "kind": "cyclic"}, "succeeded"),
    "returns an object": ({"action": "result", "kind": "object"}, "succeeded"),
    "prints 5 MB": ({"action": "print", "characters": 5_000_000}, "succeeded"),
    "leaks threads": ({"action": "leak threads", "number": 20}, "succeeded"),
    "closes stdout": ({"action": "close stdout"}, "succeeded"),
    "closes its descriptors": ({"action": "close stdout", "descriptors": True, "handler": "apart"}, "succeeded"),
    "replaces stdout": ({"action": "replace stdout", "handler": "apart"}, "succeeded"),
    "changes directory": ({"action": "chdir", "path": "/"}, "succeeded"),
    "ends its process": ({"action": "_exit", "status": 3, "handler": "apart"}, "failed"),
    "has its process killed": ({"action": "kill", "handler": "apart"}, "failed"),
    "crashes its process": ({"action": "segfault", "handler": "apart"}, "failed"),
    "hangs over its time-out in a process": ({"action": "sleep", "handler": "apart", "timeout": 0.3}, "timed_out"),
    "hangs over its time-out in a thread": ({"action": "sleep", "timeout": 0.3}, "timed_out"),
}


@pytest.mark.parametrize(
    "any_fleet", ["sqlite", pytest.param("mongod", marks=[pytest.mark.mongod, pytest.mark.slow])], indirect=True
)
def test_every_horror_ends_in_an_outcome(any_fleet: Fleet) -> None:
    fleet = any_fleet
    fleet.schedule()
    horrors = {}
    for name, (params, _) in HORRORS.items():
        rest = {key: value for key, value in params.items() if key not in ("handler", "timeout", "path")}
        rest |= {"path": params["path"]} if "path" in params else {}
        how = {"handler": params.get("handler", "test"), "timeout_seconds": params.get("timeout")}
        (horrors[name],) = fleet.schedule(params=rest, minute=fleet.first.minute, **how)
    node = fleet.start()
    runs = {name: fleet.wait_for_run(f"{id_}@{fleet.first:%Y-%m-%dT%H:%MZ}", ended) for name, id_ in horrors.items()}
    told = {name: (run["state"], run.get("error"), str(run.get("result"))[:80]) for name, run in runs.items()}
    assert {name: run["state"] for name, run in runs.items()} == {name: end for name, (_, end) in HORRORS.items()}, told
    for name in ("returns 20 MB", "returns NaN", "returns a cyclic list", "returns an object"):
        assert "not_stored" in runs[name]["result"], told[name]
    assert not any(isinstance(run.get("result"), float) and math.isnan(run["result"]) for run in runs.values())
    for run in runs.values():
        assert len(str(run)) < 300_000, run["_id"]
    assert node.ended is None
    last = fleet.wait_minutes_from_now(2, except_for=list(horrors.values()))
    fleet.stop_all()
    injected = f"{len(horrors)} horrors"
    fleet.verify("handlers that do their worst", injected, last, except_for=[*horrors.values()], tracebacks=True)


def ended(run: dict[str, Any]) -> bool:
    return run["state"] not in ("queued", "running")


@pytest.mark.usefixtures("time_for_a_busy_machine")
@pytest.mark.parametrize("size", [pytest.param(16_777_216 - 20_000, marks=pytest.mark.slow), 16_777_216 - 1_000])
def test_a_run_that_outgrows_its_document_stops_no_other(
    fleet: Fleet, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator allows the most, and small numbers take more room than they count: the output is too much."""
    monkeypatch.setenv(PARAMS_VARIABLE, str(LARGEST_PARAMS_BYTES))
    fleet.schedule()
    numbers = [0] * 130_000
    text = "x" * (size - 700 - len(bson.encode({"numbers": numbers})))
    params = {"action": "print", "characters": 60_000, "fill": [text, numbers]}
    (large,) = fleet.schedule(params=params, minute=fleet.first.minute)
    fleet.start()
    last = fleet.wait_minutes_from_now(3, except_for=[large])
    run_id = f"{large}@{fleet.first:%Y-%m-%dT%H:%MZ}"
    run = fleet.wait_for_run(run_id, ended)
    fleet.stop_all()
    assert run["state"] == "succeeded", {name: str(value)[:200] for name, value in run.items()}
    assert "not_stored" in run["result"]
    fleet.verify("a run as large as a document may be", "once", last, except_for=[large], tracebacks=True)
