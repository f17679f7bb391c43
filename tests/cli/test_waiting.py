"""Who waits at a terminal learns the fate of what was asked for, by the exit code too."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents import runs, transitions
from cronlite.errors import StoreUnavailable
from tests.cli.conftest import Typed

FATES = [(state, int(state != runs.SUCCEEDED)) for state in runs.FINAL]
Closing = Callable[[str], None]


@pytest.fixture
def closing(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> Closing:
    """A function that says how all that is queued ends, while somebody waits for it."""

    def into(state: str) -> None:
        def close(_: float) -> None:
            queued = cron.runs(state=runs.QUEUED)
            cron.store.change_runs([(run, transitions.closed(state, cron.now(), run_at=None)) for run in queued])

        monkeypatch.setattr("cronlite.client.receipt.time.sleep", close)

    return into


@pytest.mark.parametrize(("state", "code"), FATES)
def test_waiting_exits_with_the_fate_of_the_run(typed: Typed, closing: Closing, state: str, code: int) -> None:
    closing(state)
    typed("add", "--name", "n", "--minute", "0", "--handler", "double")
    assert typed.json("trigger", "n", "--wait", code=code)["state"] == state
    assert typed.json("enqueue", "double", "--wait", code=code)["state"] == state
    run = typed.json("runs", "--limit", "1")[0]["id"]
    assert state in typed("retry", run, "--wait", code=code).stdout


def test_of_several_one_that_failed_is_enough(typed: Typed, cron: Cronlite, closing: Closing) -> None:
    typed("enqueue", "double")
    typed("enqueue", "double")
    first, second = cron.runs()
    cron.store.change_runs([(run, transitions.closed(runs.FAILED, cron.now())) for run in (first, second)])
    closing(runs.SUCCEEDED)
    told = typed("retry", first.id, "none", second.id, "--wait", code=1)
    assert (told.stdout.count("queued"), told.stdout.count("succeeded")) == (2, 2)


def test_status_is_shown_anew_until_somebody_has_seen_enough(
    typed: Typed, cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            monkeypatch.setattr("cronlite.cli.inspection.statuses.status", unreachable)
        if len(slept) == 4:
            raise KeyboardInterrupt

    def unreachable(_: object) -> None:
        raise StoreUnavailable("no store is there")

    monkeypatch.setattr("cronlite.cli.inspection.time.sleep", sleep)
    told = typed("status", "--watch", code=1)
    assert told.stdout.count("daemons") == 2
    assert told.stderr.count("no store is there") == 2
    assert slept == [2.0] * 4
    assert "prints one document" in typed("status", "--watch", "--json", code=2).stderr
