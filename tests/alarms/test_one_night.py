"""What is told in one night, and how often?"""

import pytest

from tests.alarms.one_night import night


@pytest.mark.slow
def test_a_night_is_told_in_few_messages() -> None:
    it = night(step_seconds=30)
    told = [(f"{at:%H:%M}", title.removeprefix("cronlite: ")[:66]) for at, title, _ in it.log if title]
    assert told == [
        ("02:30", "schedule backup failed: OSError: No space left on device"),
        ("03:10", "schedule report for alice is overdue since 2026-11-29 03:00Z: no d"),
        ("03:26", "over: schedule report for alice is overdue since 2026-11-29 03:00Z"),
        ("03:30", "over: schedule backup failed: OSError: No space left on device"),
        ("04:08", "no daemon has ticked since 2026-11-29 04:05:00Z"),
        ("04:30", "schedule import for bob is overdue since 2026-11-29 04:20Z: no dae"),
        ("05:08", "still: no daemon has ticked since 2026-11-29 04:05:00Z"),
        ("05:11", "3 alarms: 1 gap, 1 overdue (over), 1 no tick (over) (memory:)"),
    ]
