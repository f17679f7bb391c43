"""Burst: how fast is one daemon when a great many schedules are due at one tick, beside the peers and the floor?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any

from cronlite.daemon.store_clock import steady
from cronlite.store.mongo.indexes import INDEXES
from cronlite.when.clock import MINUTE, floor_minute
from tests.bench import children, daemons, stored
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say

OURS = "cronlite, MongoDB"
REAL = "cronlite, MongoDB, real minute"
FIRST = "cronlite, MongoDB, first call"
"""Nothing is known of the handler yet: how long it takes has to be learned in the burst itself."""
ANSWERS = "cronlite, MongoDB, results"
"""Each run ends with a result of its own, as those of an application do."""
FLOOR = "floor (pymongo)"
FLOOR_INDEXED = "floor with our indexes"
LARGE = 100_000
_TO_FILL_AND_START = timedelta(seconds=15)
_INDEXES = [(index.keys, dict(index.options)) for index in INDEXES if index.collection == "runs"]

Answer = dict[str, Any]
Answers = dict[str, list[Answer]]


def measure(setting: Setting) -> list[Row]:
    answers, best = all_sides(setting), best_peer(setting)
    rows = []
    for end, least in (("called", 15), ("stored", 12)):
        for side in answers:
            target = Target(least=least, of="ratio") if side == OURS else None
            rows += _speed(setting, answers, side, end, best, target)
    rows += [_memory(setting.sizes.burst, side, answers[side]) for side in answers if "peak_mb" in answers[side][0]]
    return [*rows, _slowest(setting, answers[OURS]), *_curve(setting)]


def all_sides(setting: Setting) -> Answers:
    """Measure every side, one after the other and again, so that all of them meet the machine's moods."""
    return setting.once("burst", lambda: _all_sides(setting))


def best_peer(setting: Setting) -> tuple[str, float]:
    """Return the peer that calls most handlers a second, and how many; "" when there is none."""
    answers = all_sides(setting)
    speeds = {peer.name: median(_per_second(answers[peer.name], "called")) for peer in setting.peers}
    best = max(speeds, key=lambda name: speeds[name], default="")
    return best, speeds.get(best, 0.0)


def cronlite(
    uri: str, due: int, handler: str = "noop", *, overlap: str = "skip", known: bool = True, **more: Any
) -> Answer:
    """Let one daemon run a burst, of a handler that ran the day before if it is `known`."""
    stored.fill(uri, stored.in_burst(due, handler, overlap=overlap))
    if known:
        stored.add_past(uri, handler, stored.BURST_AT)
    return _whole(due, daemons.work(uri, tick=stored.BURST_AT.isoformat(), expected=due, **more))


def at_real_minute(uri: str, due: int) -> Answer:
    """Let one daemon run a burst at the next minute that leaves it time to start."""
    now = datetime.now(timezone.utc)
    minute = floor_minute(now + _TO_FILL_AND_START) + MINUTE
    at = steady() + (minute - now).total_seconds()
    stored.fill(uri, stored.in_burst(due, "noop", at=minute))
    stored.add_past(uri, "noop", minute)
    return _whole(due, daemons.work(uri, at=at, expected=due))


def _whole(due: int, answer: Answer) -> Answer:
    if (answer["calls"], answer["stored"]) != (due, due):
        raise RuntimeError(f"of {due} runs, {answer['calls']} were called and {answer['stored']} stored")
    return answer


def _all_sides(setting: Setting) -> Answers:
    answers: Answers = defaultdict(list)
    due = setting.sizes.burst
    for repeat in range(setting.sizes.repeats):
        say(f"burst of {due:,}, {repeat + 1} of {setting.sizes.repeats}")
        for side, opened in setting.stores.items():
            with opened() as uri:
                answers[side].append(cronlite(uri, due))
        with setting.mongodb() as uri:
            answers[ANSWERS].append(cronlite(uri, due, "answering"))
        if repeat < setting.sizes.at_real_minutes:
            with setting.mongodb() as uri:
                answers[REAL].append(at_real_minute(uri, due))
            with setting.mongodb() as uri:
                answers[FIRST].append(cronlite(uri, due, known=False))
        for peer in setting.peers:
            with setting.mongodb() as uri:
                answers[peer.name].append(peer.burst(uri, due))
        with setting.mongodb() as uri:
            stored.fill(uri, stored.in_burst(due, "noop"))
            for side, indexes in ((FLOOR, []), (FLOOR_INDEXED, _INDEXES)):
                answers[side].append(children.call("floor:burst", uri=uri, indexes=indexes))
    return dict(answers)


def _per_second(answers: Sequence[Answer], end: str) -> list[float]:
    seconds = f"{end}_seconds"
    return [answer["calls"] / answer[seconds] for answer in answers if answer.get(seconds)]


def _speed(
    setting: Setting, answers: Answers, side: str, end: str, best: tuple[str, float], target: Target | None
) -> list[Row]:
    values = _per_second(answers[side], end)
    if not values:
        return []
    ratio = median(values) / best[1] if best[1] else None
    what = f"{setting.sizes.burst:,} due, {end}"
    calls = sorted({answer["calls"] for answer in answers[side]})
    to = f"{best[0]} called" if best[0] else ""
    more = {"calls": calls, "cpu_seconds": [answer.get("cpu_seconds") for answer in answers[side]]}
    if calls != [setting.sizes.burst]:
        side = f"{side} (only {calls[0]:,} ran)"
    return [
        Row(
            benchmark="burst",
            what=what,
            side=side,
            values=values,
            unit="/s",
            ratio=ratio,
            ratio_to=to,
            target=target,
            more=more,
        )
    ]


def _memory(due: int, side: str, answers: Sequence[Answer], target: Target | None = None) -> Row:
    return Row(
        benchmark="burst",
        what=f"{due:,} due, memory above idle",
        side=side,
        values=[answer["peak_mb"] - answer["idle_mb"] for answer in answers],
        unit="MB",
        target=target,
        more={"peak_mb": [answer["peak_mb"] for answer in answers]},
    )


def _slowest(setting: Setting, answers: Sequence[Answer]) -> Row:
    seconds = [answer["stored_seconds"] for answer in answers]
    return Row(
        benchmark="burst",
        what=f"{setting.sizes.burst:,} due, stored, slowest to median",
        side=OURS,
        values=[max(seconds) / median(seconds)],
        unit="x",
        target=Target(most=1.5),
        more={"stored_seconds": seconds},
    )


def _curve(setting: Setting) -> list[Row]:
    """Tell how the cost grows with the number of schedules that are due."""
    rows = []
    for due in sorted([*setting.sizes.curve, setting.sizes.burst]):
        answers = all_sides(setting)[OURS] if due == setting.sizes.burst else _bursts(setting, due)
        slowest = Target(most=12) if due >= LARGE else None
        seconds = [answer["stored_seconds"] for answer in answers]
        what = f"{due:,} due, all stored"
        rows.append(Row(benchmark="burst", what=what, side=OURS, values=seconds, unit="s", target=slowest))
        if due != setting.sizes.burst:
            rows.append(_memory(due, OURS, answers, Target(most=100) if due >= LARGE else None))
    return rows


def _bursts(setting: Setting, due: int) -> list[Answer]:
    answers = []
    for repeat in range(setting.sizes.repeats):
        say(f"burst of {due:,}, {repeat + 1} of {setting.sizes.repeats}")
        with setting.mongodb() as uri:
            answers.append(cronlite(uri, due))
    return answers
