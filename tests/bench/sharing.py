"""Sharing: do two daemons do twice as much as one, when handlers are slow and each has all seats taken?"""

from __future__ import annotations

from contextlib import ExitStack
from statistics import median

from cronlite.daemon.store_clock import steady
from cronlite.store import Store, open_store
from cronlite.store.contract import RunQuery
from tests.bench import stored
from tests.bench.application import AFTER_MINUTE, SLOW_SECONDS
from tests.bench.daemons import LEAD_SECONDS, Daemon
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say
from tests.waiting import wait_until

LIMIT_SECONDS = 300.0


def measure(setting: Setting) -> list[Row]:
    speeds: dict[int, list[float]] = {1: [], 2: []}
    count = setting.sizes.slow_runs
    shares = []
    for repeat in range(setting.sizes.repeats):
        for daemons, measured in speeds.items():
            say(f"{count:,} slow runs for {daemons} daemon(s), {repeat + 1} of {setting.sizes.repeats}")
            seconds, calls = _shared(setting, count, daemons)
            measured.append(count / seconds)
            shares.append(calls)
    rows = []
    for daemons, measured in speeds.items():
        rows.append(
            Row(
                benchmark="sharing",
                what=f"{count:,} runs of {SLOW_SECONDS * 1_000:g} ms, done",
                side=f"{daemons} daemon{'s' if daemons > 1 else ''} of 20 seats",
                values=measured,
                unit="/s",
                ratio=median(measured) / median(speeds[1]) if daemons > 1 else None,
                ratio_to="one daemon" if daemons > 1 else "",
                target=Target(least=1.9, of="ratio") if daemons > 1 else None,
                more={"calls": [calls for calls in shares if len(calls) == daemons]},
            )
        )
    return rows


def _shared(setting: Setting, count: int, daemons: int) -> tuple[float, list[int]]:
    """Let daemons share a burst; return the seconds from the tick to the last end, and how many calls each made."""
    with setting.mongodb() as uri, ExitStack() as ends:
        stored.fill(uri, stored.in_burst(count, "slow"))
        tick = stored.BURST_AT.isoformat()
        fleet = [Daemon(uri, tick=tick) for _ in range(daemons)]
        for daemon in fleet:
            ends.callback(daemon.kill)
        at = steady() + LEAD_SECONDS
        for daemon in fleet:
            daemon.begin(at)
        store = open_store(uri)
        ends.callback(store.close)
        wait_until(
            lambda: _is_over(store),
            limit_seconds=LIMIT_SECONDS,
            interval_seconds=0.25,
            what="all runs are done",
            instead=store.count_runs,
        )
        calls = [daemon.answer(told_to_end=True)["calls"] for daemon in fleet]
        last = max(run.finished_at for run in store.runs(RunQuery()) if run.finished_at)
    # the clock of all daemons showed this minute at one and the same time
    return (last - stored.BURST_AT - AFTER_MINUTE).total_seconds(), calls


def _is_over(store: Store) -> bool:
    """Tell whether nothing is left to do, by looks into indexes that cost the server nothing."""
    ticks = store.ledger(stored.BURST_AT, stored.BURST_AT)
    is_queued = any(tick.minute == stored.BURST_AT and tick.done_at for tick in ticks)
    return is_queued and store.next_run_at(["slow"]) is None and not store.owners()
