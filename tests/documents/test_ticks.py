"""The ledger accounts for every minute: what is left to do, and where the gaps are."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from cronlite.documents.ticks import Tick, to_do
from cronlite.when.clock import MINUTE

NOW = datetime(2026, 11, 21, 10, 5, 1, tzinfo=timezone.utc)
GRACE = timedelta(minutes=5)


def at(hour: int, minute: int) -> datetime:
    return datetime(2026, 11, 21, hour, minute, tzinfo=timezone.utc)


def done(minute: datetime, *, from_at: datetime | None = None, to_at: datetime | None = None) -> Tick:
    return Tick(minute=minute, daemon="other", claimed_at=minute, done_at=minute, from_at=from_at, to_at=to_at)


def spans(entries: Iterable[Tick], now: datetime = NOW) -> list[tuple[datetime, datetime]]:
    return [(tick.first, tick.last) for tick in to_do(entries, now, GRACE, "me")]


def minutes(first: datetime, last: datetime) -> list[tuple[datetime, datetime]]:
    count = round((last - first) / MINUTE) + 1
    return [(first + n * MINUTE, first + n * MINUTE) for n in range(count)]


def test_an_empty_ledger_has_no_gap_only_the_minutes_within_the_grace() -> None:
    assert spans([]) == minutes(at(10, 1), at(10, 5))


def test_when_all_but_this_minute_is_done_this_minute_is_left() -> None:
    assert spans([done(at(10, n)) for n in range(5)]) == minutes(at(10, 5), at(10, 5))


def test_when_this_minute_is_done_nothing_is_left() -> None:
    assert spans([done(at(10, n)) for n in range(6)]) == []


def test_minutes_missed_within_the_grace_get_an_entry_each() -> None:
    assert spans([done(at(10, 2))]) == minutes(at(10, 3), at(10, 5))


def test_older_missed_minutes_are_one_gap() -> None:
    assert spans([done(at(7, 30))]) == [(at(7, 31), at(10, 0)), *minutes(at(10, 1), at(10, 5))]


def test_a_gap_that_stands_in_the_ledger_keeps_its_bounds() -> None:
    gap = Tick(minute=at(7, 31) + MINUTE / 2, daemon="dead", claimed_at=at(9, 0), from_at=at(7, 31), to_at=at(8, 55))
    left = to_do([done(at(7, 30)), gap, *(done(at(8, 55) + n * MINUTE) for n in range(1, 71))], NOW, GRACE, "me")
    assert left == [gap]


def test_an_entry_that_was_claimed_and_not_done_is_left_however_old() -> None:
    half = Tick(minute=at(9, 0), daemon="dead", claimed_at=at(9, 0))
    known = [done(at(8, 59)), half, *(done(at(9, 0) + n * MINUTE) for n in range(1, 66))]
    assert to_do(known, NOW, GRACE, "me") == [half]


def test_a_hole_between_entries_that_are_done_is_found() -> None:
    known = [done(at(9, 0)), *(done(at(9, 30) + n * MINUTE) for n in range(36))]
    assert spans(known) == [(at(9, 1), at(9, 29))]


def test_entries_in_the_future_are_ignored() -> None:
    ahead = done(datetime(2036, 1, 1, tzinfo=timezone.utc))
    assert spans([done(at(10, 4)), ahead]) == minutes(at(10, 5), at(10, 5))


def test_a_gap_that_a_clock_ten_years_ahead_has_left_hides_no_minute() -> None:
    far = datetime(2036, 1, 1, tzinfo=timezone.utc)
    gap = done(at(10, 5) + MINUTE / 2, from_at=at(10, 5), to_at=far)
    assert spans([*(done(at(10, n)) for n in range(5)), gap, done(far + MINUTE)]) == minutes(at(10, 5), at(10, 5))


def test_a_grace_that_ends_on_the_minute_leaves_that_minute_out() -> None:
    assert spans([], now=at(10, 5)) == minutes(at(10, 1), at(10, 5))


def test_ten_years_without_a_daemon_are_one_gap() -> None:
    left = spans([done(datetime(2016, 1, 1, tzinfo=timezone.utc))])
    assert left[0] == (datetime(2016, 1, 1, 0, 1, tzinfo=timezone.utc), at(10, 0))
    assert len(left) == 6


def test_whatever_the_ledger_holds_every_minute_is_accounted_for_once(seed: random.Random) -> None:
    for _ in range(300):
        first = at(8, 0)
        known, cursor = [done(first)], first + MINUTE
        while cursor <= at(10, 5):
            length = seed.randrange(1, 30)
            last = min(cursor + (length - 1) * MINUTE, at(10, 5))
            kind = seed.choice(["hole", "gap", "ticks", "undone"])
            if kind == "gap":
                known.append(done(cursor, from_at=cursor, to_at=last))
            elif kind == "ticks":
                known.extend(done(minute) for minute, _ in minutes(cursor, last))
            elif kind == "undone":
                known.extend(Tick(minute=minute, daemon="x", claimed_at=minute) for minute, _ in minutes(cursor, last))
            cursor = last + MINUTE
        seed.shuffle(known)
        left = to_do(known, NOW, GRACE, "me")
        covered = sorted(
            minute
            for entry in [*(tick for tick in known if tick.done_at), *left]
            for minute, _ in minutes(entry.first, entry.last)
        )
        assert covered == [minute for minute, _ in minutes(first, at(10, 5))]
