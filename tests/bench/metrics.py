"""Metrics: how much slower is a burst while its figures are counted, and scraped as Prometheus would?"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from statistics import median
from typing import Any

from tests.bench import burst
from tests.bench.rows import Row, Target
from tests.bench.setting import Setting, say
from tests.services.process import free_port

FIRST_SECONDS, SCRAPE_SECONDS = 1.0, 15.0  # of a burst, one scrape meets all of it
SIDES = ("unmeasured", "measured and scraped")


def measure(setting: Setting) -> list[Row]:
    due, answers = setting.sizes.burst, {side: list[burst.Answer]() for side in SIDES}
    for repeat in range(2 * setting.sizes.repeats):
        say(f"pair of bursts of {due:,}, {repeat + 1} of {2 * setting.sizes.repeats}")
        # In turns: what comes first of two meets another cache than what comes second.
        for side in SIDES if repeat % 2 else reversed(SIDES):
            answers[side].append(_burst(setting, due, is_measured=side != SIDES[0]))
    speeds = {side: [one["stored"] / one["stored_seconds"] for one in of] for side, of in answers.items()}
    costs = {side: [1e6 * one["cpu_seconds"] / one["stored"] for one in of] for side, of in answers.items()}
    return [
        *_compared(f"{due:,} due, stored", "/s", speeds, Target(least=0.97, of="ratio")),
        # Where others use the machine, this says more: time on the processor, the scrapes' own included.
        *_compared("processor time of a run", "µs", costs, Target(most=1.03, of="ratio")),
    ]


def _compared(what: str, unit: str, values: Mapping[str, Sequence[float]], target: Target) -> list[Row]:
    without, measured = (values[side] for side in SIDES)
    pairs = [of_one / of_other for of_one, of_other in zip(measured, without, strict=True)]
    compared: dict[str, Any] = {
        "ratio": median(pairs),
        "ratio_to": SIDES[0],
        "target": target,
        "more": {"pairs": pairs},
    }
    return [
        Row(benchmark="metrics", what=what, side=SIDES[0], values=without, unit=unit),
        Row(benchmark="metrics", what=what, side=SIDES[1], values=measured, unit=unit, **compared),
    ]


def _burst(setting: Setting, due: int, *, is_measured: bool) -> burst.Answer:
    """Run a burst, with or without figures."""
    port = free_port()
    with setting.mongodb() as uri, _scraping(port if is_measured else None):
        return burst.cronlite(uri, due, options=["--metrics", str(port)] if is_measured else [])


@contextmanager
def _scraping(port: int | None) -> Iterator[None]:
    """Scrape a daemon again and again, if there is one to be scraped."""
    over = threading.Event()

    def scrape() -> None:
        wait = FIRST_SECONDS
        while not over.wait(wait):
            wait = SCRAPE_SECONDS
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read()

    thread = threading.Thread(target=scrape, name="bench-scrape", daemon=True)
    if port:
        thread.start()
    try:
        yield
    finally:
        over.set()
        if port:
            thread.join()
