"""Do the charts show what happened? The numbers are counted apart, from whole runs, and compared with what is drawn."""

from __future__ import annotations

import random
import re
from collections import Counter
from datetime import datetime, timedelta, timezone
from statistics import median
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

pytest.importorskip("jinja2")

from cronlite.documents import runs
from cronlite.documents.outlines import Outline
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.store.contract import RunQuery, Store
from cronlite.web.charts import Chart, calendar, day_heat, durations, strip, week_heat
from cronlite.web.charts.durations import percentile, took
from cronlite.web.charts.heat import LEVELS, level
from cronlite.web.charts.strip import STEP, STEPS
from cronlite.web.templating import look
from tests.store.samples import LANE, add

NOW = datetime(2026, 11, 21, 14, 7, tzinfo=timezone.utc)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LOOKS = ("good", "bad", "work", "rest")


def ran(seed: random.Random, count: int, days: float) -> list[Run]:
    """Make runs of one schedule that ended in any way, at distinct minutes of so many days before NOW."""
    minutes = seed.sample(range(1, int(days * 1440)), count)
    made = []
    for minute in minutes:
        due = NOW - timedelta(minutes=minute)
        run = Run(id=f"{LANE}@{due:%Y-%m-%dT%H:%MZ}", handler="h", params={}, due_at=due, queued_at=due, schedule=LANE)
        run.state = seed.choice([*[runs.SUCCEEDED] * 6, *runs.FINAL])
        run.finished_at = due + timedelta(seconds=1 + seed.expovariate(0.05))
        if run.state not in (runs.SKIPPED, runs.MISSED, runs.CANCELLED):
            run.started_at, run.attempt, run.daemon = due + timedelta(seconds=1), 1, "d1"
        made.append(run)
    return made


@pytest.fixture
def kept(store: Store, seed: random.Random) -> list[Run]:
    made = ran(seed, 300, 12)
    add(store, *made)
    return made


def outlined(store: Store) -> list[Outline]:
    return store.outlines(RunQuery(schedule=LANE))


def parsed(chart: Chart) -> ElementTree.Element:
    """Read the drawing as XML; it has its words, and nothing that a strict policy would not apply."""
    root = ElementTree.fromstring(str(chart.drawing))
    assert [root[0].tag, root[1].tag] == ["title", "desc"]
    assert root[0].text == chart.title
    assert root[1].text == chart.summary
    assert not re.search(r"style=|<script|<style|\son\w+=|javascript:", str(chart.drawing))
    return root


def steps(root: ElementTree.Element, kind: str) -> list[tuple[float, ...]]:
    """List the numbers of the boxes, or dots, in all paths of a class."""
    ways = "".join(path.get("d", "") for path in root.iter("path") if path.get("class") == kind)
    return [tuple(map(float, re.findall(r"-?[\d.]+", way))) for way in ways.split("M")[1:]]


def numbers(cells: list[str]) -> list[int]:
    return [int(cell.replace(",", "") or 0) for cell in cells]


# behind and ahead


def test_the_strip_counts_each_run_of_the_last_day_once_by_its_outcome(store: Store, kept: list[Run]) -> None:
    since = NOW - STEPS * STEP
    chart = strip(NOW, store.tally(since, NOW, STEP), [], [0] * 1440)
    apart = Counter((int((run.queued_at - since) // HOUR), look(run.state)) for run in kept if run.queued_at >= since)
    rows = [numbers(list(row[1:5])) for row in chart.table[:24]]
    assert rows == [[apart[hour, kind] for kind in LOOKS] for hour in range(24)]
    total = Counter(look(run.state) for run in kept if run.queued_at >= since)
    assert chart.summary.startswith(f"{total.total()} run")
    assert f"of which {total['bad']} went wrong;" in chart.summary
    root = parsed(chart)
    for kind in LOOKS:
        by_step = {int((r.queued_at - since) // STEP) for r in kept if r.queued_at >= since and look(r.state) == kind}
        assert {int(x) for x, *_ in steps(root, kind)} == by_step
        assert {int(x) for x, *_ in steps(root, "dot bad")} == {
            int((r.queued_at - since) // STEP) for r in kept if r.queued_at >= since and look(r.state) == "bad"
        }


def test_the_bars_of_the_strip_are_as_high_as_their_runs_are_many() -> None:
    tally = {(0, runs.SUCCEEDED): 400, (1, runs.SUCCEEDED): 200, (1, runs.FAILED): 200, (2, runs.FAILED): 1}
    root = parsed(strip(NOW, tally, [], [0] * 15 + [20] * 10 + [0] * 1415))
    heights = {round(x): height for x, _, _, height, _ in steps(root, "good")}
    assert heights[0] == pytest.approx(2 * heights[1])
    bad = {round(x): height for x, _, _, height, _ in steps(root, "bad")}
    assert bad[1] == pytest.approx(heights[1])
    assert bad[2] == 2  # the least there is: one of many failures must be seen
    ahead = {round(x): height for x, _, _, height, _ in steps(root, "ahead")}
    assert ahead == {STEPS + 1: pytest.approx(heights[1])}


def test_the_strip_marks_where_no_daemon_ticked() -> None:
    first = NOW - 3 * HOUR
    gap = Tick(minute=first + timedelta(seconds=30), daemon="d", claimed_at=NOW, from_at=first, to_at=first + HOUR)
    chart = strip(NOW, {}, [gap], [0] * 1440)
    ((x, _, width, _, _),) = steps(parsed(chart), "gap")
    assert [x, width] == pytest.approx([STEPS - 12, 4 + 1 / 15], abs=0.01)
    assert "no daemon ticked" in chart.summary
    assert "11:07 to 12:07 UTC: no daemon ticked in 61 minutes" in str(chart.drawing)


def test_the_load_ahead_is_that_of_the_minutes(seed: random.Random) -> None:
    ahead = [seed.choice([0, 0, 1, 7]) for _ in range(1440)]
    chart = strip(NOW, {}, [], ahead)
    assert [numbers([row[5]])[0] for row in chart.table[24:]] == [sum(ahead[h * 60 : h * 60 + 60]) for h in range(24)]
    assert f"{sum(ahead):,} due in the next 24" in chart.summary


def test_an_empty_store_has_a_strip_as_well() -> None:
    chart = strip(NOW, {}, [], [0] * 1440)
    assert chart.scale == ""
    parsed(chart)


# durations


def test_half_of_the_runs_took_no_longer_than_p50_and_95_of_100_no_longer_than_p95(
    store: Store, kept: list[Run]
) -> None:
    timed = sorted((run for run in kept if run.started_at and run.finished_at), key=lambda run: run.due_at)
    seconds = [round((run.finished_at - run.started_at).total_seconds(), 3) for run in timed]  # type: ignore[operator]
    groups = took(outlined(store))
    place = 0
    for group in groups:
        part = seconds[place : place + group.runs]
        assert (group.first, group.last) == (timed[place].due_at, timed[place + group.runs - 1].due_at)
        for value, share in ((group.p50, 0.50), (group.p95, 0.95)):
            assert sum(one <= value + 0.002 for one in part) >= share * len(part)
            assert sum(one < value - 0.002 for one in part) < share * len(part)
        place += group.runs
    assert place == len(timed)
    chart = durations(outlined(store))
    assert chart is not None
    root = parsed(chart)
    assert len(steps(root, "dot good")) + len(steps(root, "dot bad")) == len(timed)
    assert len(steps(root, "dot bad")) == sum(look(run.state) == "bad" for run in timed)


@pytest.mark.parametrize("count", [1, 2, 3, 20, 99])
def test_percentiles_are_values_that_occurred(seed: random.Random, count: int) -> None:
    values = [seed.random() for _ in range(count)]
    assert percentile(values, 100) == max(values)
    assert percentile(values, 50) in values
    assert abs(sorted(values).index(percentile(values, 50)) - (count - 1) / 2) <= 0.5
    assert count % 2 == 0 or percentile(values, 50) == median(values)


def test_a_schedule_that_never_began_a_run_has_no_durations() -> None:
    skipped = Outline(id="r", state=runs.SKIPPED, due_at=NOW, queued_at=NOW, finished_at=NOW)
    assert durations([skipped]) is None
    assert durations([]) is None


def test_one_run_that_took_ages_does_not_flatten_all_others() -> None:
    def one(n: int, seconds: float) -> Outline:
        due = NOW + n * HOUR
        ended = due + timedelta(seconds=seconds)
        return Outline(id=f"{n}", state="succeeded", due_at=due, queued_at=due, started_at=due, finished_at=ended)

    plain, long = (
        durations([one(n, 1 + n / 10) for n in range(9)]),
        durations([one(n, 1) for n in range(9)] + [one(9, 900)]),
    )
    assert plain is not None
    assert long is not None
    assert "logarithmic" not in plain.scale
    assert "logarithmic" in long.scale
    heights = sorted({y for _, y, *_ in steps(parsed(long), "dot good")})
    assert len(heights) == 2


# heat maps


def test_the_day_has_a_row_for_each_hour_with_its_sum_and_its_worst_minute(seed: random.Random) -> None:
    first = NOW.replace(minute=0)
    load = [seed.choice([0, 0, 0, 1, 5, 900]) for _ in range(1440)]
    chart = day_heat(first, load)
    for hour, row in enumerate(chart.table):
        minutes = load[hour * 60 : hour * 60 + 60]
        assert numbers([row[1], row[2]]) == [sum(minutes), max(minutes)]
        assert row[3] == f"{first + hour * HOUR + minutes.index(max(minutes)) * timedelta(minutes=1):%H:%M}"
    root = parsed(chart)
    cells = [[level(count, 900) for count in load[hour * 60 : hour * 60 + 60]] for hour in range(24)]
    drawn = [[-1] * 60 for _ in range(24)]
    for shade in range(LEVELS + 1):
        for x, y, width, *_ in steps(root, f"heat heat-{shade}"):
            for minute in range(int(x), int(x + width)):
                drawn[int(y)][minute] = shade
    assert drawn == cells


def test_the_week_shows_the_worst_minute_of_each_hour_on_its_day(seed: random.Random) -> None:
    first = NOW.replace(minute=0)
    load = [seed.choice([0, 0, 3, 40]) for _ in range(7 * 1440)]
    chart = week_heat(first, load)
    apart: dict[str, list[int]] = {}
    for place, count in enumerate(load):
        apart.setdefault(f"{first + place * timedelta(minutes=1):%a %d %b}", []).append(count)
    assert [(row[0], *numbers([row[1], row[2]])) for row in chart.table] == [
        (day, sum(counts), max(counts)) for day, counts in apart.items()
    ]
    parsed(chart)


def test_more_runs_are_never_paler_and_the_legend_names_where_each_shade_begins() -> None:
    for most in (1, 2, 3, 10, 977, 12_345):
        shades = [level(count, most) for count in range(most + 1)]
        assert shades == sorted(shades)
        assert shades[0] == 0
        assert most == 1 or shades[-1] == LEVELS
        load = [0] * 1440
        load[0] = most
        begins = {
            int(kind[-1]): int(text.split()[0].replace(",", ""))
            for kind, text in day_heat(NOW.replace(minute=0), load).legend
        }
        assert begins == {shade: shades.index(shade) for shade in set(shades) - {0}}


# the calendar


def test_the_calendar_has_each_run_on_its_day_at_its_time_of_the_schedules_clock(store: Store, kept: list[Run]) -> None:
    zone = ZoneInfo("Asia/Kolkata")
    chart = calendar(outlined(store), zone, NOW)
    assert chart is not None
    apart = Counter((f"{run.due_at.astimezone(zone):%a %d %b}", look(run.state)) for run in kept)
    assert {row[0]: numbers(list(row[1:])) for row in chart.table if any(numbers(list(row[1:])))} == {
        day: [apart[day, kind] for kind in LOOKS] for day in {day for day, _ in apart}
    }
    root = parsed(chart)
    for kind in LOOKS:
        wanted = Counter(
            (round(min(local.hour * 60 + local.minute, 1431)), chart.rows.index(f"{local:%a %d %b}"))
            for run in kept
            if look(run.state) == kind
            for local in [run.due_at.astimezone(zone)]
        )
        assert Counter((round(x), int(y // 10)) for x, y, *_ in steps(root, kind)) == wanted


def test_a_square_is_as_long_as_its_run_took() -> None:
    begun = NOW.replace(hour=3, minute=0)
    long = Outline(
        id="r", state="succeeded", due_at=begun, queued_at=begun, started_at=begun, finished_at=begun + 2 * HOUR
    )
    chart = calendar([long], ZoneInfo("UTC"), NOW)
    assert chart is not None
    ((x, _, width, *_),) = steps(parsed(chart), "good")
    assert (x, width) == (180, 120)


def test_days_without_a_run_have_their_row_and_older_weeks_have_none() -> None:
    def on(days: int) -> Outline:
        return Outline(id=str(days), state="succeeded", due_at=NOW - days * DAY, queued_at=NOW - days * DAY)

    chart = calendar([on(0), on(5), on(60)], ZoneInfo("UTC"), NOW)
    assert chart is not None
    assert len(chart.rows) == 6
    assert calendar([on(60)], ZoneInfo("UTC"), NOW) is None
