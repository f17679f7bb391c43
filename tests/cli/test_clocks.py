"""The store's clock counts in every view, also where this machine's own is three hours off."""

import re
from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.app import Cronlite
from cronlite.store.contract import ScheduleQuery
from tests.cli.conftest import Typed

AHEAD = timedelta(hours=3)


@pytest.fixture
def there(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> datetime:
    """The store's time."""
    now = datetime.now(timezone.utc).replace(second=30, microsecond=0) + AHEAD
    monkeypatch.setattr(type(cron.store), "now", lambda _: now)
    return now


def test_what_is_added_and_changed_is_shown_by_it(typed: Typed, there: datetime) -> None:
    in_an_hour = there + timedelta(hours=1)
    time = [f"--minute={in_an_hour.minute}", f"--hour={in_an_hour.hour}"]
    assert re.search(r"Z? +in (59|60) min", typed("add", "--name", "n", *time).stdout)
    assert re.search(r"in (59|60) min", typed("edit", "n", "--note", "x").stdout)
    assert re.search(r"in (59|60) min", typed("show", "n").stdout)
    assert re.search(r"in (59|60) min", typed("list").stdout)
    assert re.search(r"in (59|60) min", typed("next").stdout)
    typed("pause", "n")
    assert f"{in_an_hour:%Y-%m-%d %H:%M}" in typed("resume", "n").stdout
    assert typed.json("show", "n")["created_at"].startswith(f"{there:%Y-%m-%dT%H:%M}")


def test_lengths_of_time_count_from_it(typed: Typed, cron: Cronlite, there: datetime) -> None:
    typed("enqueue", "h")
    assert len(typed.json("runs", "--since", "30m")) == 1
    assert len(typed.json("runs", "--since", f"{there:%H:%M}")) == 1
    assert typed.json("runs", "--until", "30m") == []
    queued = typed.json("enqueue", "h", "--in", "30m")
    assert queued["run_at"].startswith(f"{there + timedelta(minutes=30):%Y-%m-%dT%H:%M}")


def test_what_is_due_now_is_due_by_it(cron: Cronlite, there: datetime) -> None:
    at = there.replace(second=0)
    cron.schedule(name="then", minute=at.minute, hour=at.hour)
    cron.schedule(name="here", minute=at.minute, hour=(at - AHEAD).hour)
    stored = next(cron.store.schedules(ScheduleQuery(name="then")))
    cron.store.change_schedule(stored["_id"], {"active_from": at}, stored["updated_at"])
    assert [schedule.name for schedule in cron.current_schedules()] == ["then"]
