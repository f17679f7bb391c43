"""A schedule's beginning, its end, and how late its runs may start: what is said of them, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from cronlite import Cronlite, InvalidInput, Schedule
from cronlite.cli import cli
from cronlite.client.doctor import doctor
from cronlite.client.why import why
from cronlite.documents import schedules, transitions
from cronlite.store import open_store
from cronlite.store.contract import ScheduleQuery
from cronlite.testing import START, Rehearsal

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with Rehearsal() as opened:
        opened.cron.registry.add("work", lambda _: None) if "work" not in opened.cron.registry.names() else None
        yield opened


def test_it_is_due_from_its_first_to_its_last_minute(rehearsal: Rehearsal) -> None:
    first, last = START + 10 * MINUTE, START + 12 * MINUTE
    schedule = rehearsal.cron.schedule(handler="work", active_from=first, active_until=last)
    assert schedule.next_runs(START, 9) == [first, first + MINUTE, last]
    rehearsal.advance(minutes=20)
    assert [run.due_at for run in rehearsal.runs()] == [first, first + MINUTE, last]
    late = why(rehearsal.cron.store, schedule, last + MINUTE)
    assert (late.verdict, late.reasons) == ("not_active", ("it ended at 2024-01-01 00:12:00Z, its active_until",))
    assert why(rehearsal.cron.store, schedule, START).verdict == "not_active"


def test_a_beginning_that_is_to_come_survives_an_edit_a_pause_and_a_new_declaration(rehearsal: Rehearsal) -> None:
    cron, later = rehearsal.cron, START + HOUR
    made = cron.schedule(handler="work", name="later", minute=5, active_from=later)
    assert cron.update(made.id, minute=6).active_from == later
    cron.pause(made.id)
    assert cron.resume(made.id).active_from == later
    assert cron.schedule(handler="work", name="later", minute=7).active_from == later
    assert cron.schedule(handler="work", name="later", minute=7, active_from=START).active_from == START


def test_what_has_not_started_by_its_deadline_is_missed(rehearsal: Rehearsal) -> None:
    schedule = rehearsal.cron.schedule(handler="work", minute=10, deadline_seconds=90)
    rehearsal.advance(minutes=10)
    rehearsal.outage(minutes=60)
    [run] = rehearsal.runs(schedule=schedule.id)
    assert run.deadline_at == START + 10 * MINUTE + timedelta(seconds=90)
    assert transitions.too_late(run, START + 12 * MINUTE) is not None
    assert transitions.too_late(run, START + 11 * MINUTE) is None


@pytest.mark.parametrize("wrong", [0, -1, "90", True, 10**9])
def test_a_deadline_is_a_number_of_seconds(wrong: object) -> None:
    with pytest.raises(InvalidInput, match="deadline_seconds"):
        Schedule(deadline_seconds=wrong)  # type: ignore[arg-type]


def test_other_words_for_it_are_answered() -> None:
    with Cronlite("memory:") as cron:
        for word in ("deadline", "expires", "end_date"):
            with pytest.raises(InvalidInput, match=r"say deadline_seconds|say active_until"):
                cron.schedule(**{word: 60})  # type: ignore[arg-type]


def test_the_doctor_tells_what_has_ended_and_what_a_clock_that_ran_ahead_made() -> None:
    with Cronlite("memory:") as cron:
        now = cron.now()
        cron.schedule(name="ended", active_until=now - HOUR)
        cron.schedule(name="planned", active_from=now + HOUR)
        ahead = schedules.new(now=now + timedelta(days=400), name="ahead")
        cron.store.add_schedule(ahead.document())
        told = {finding.subject: finding for finding in doctor(cron.store)}
        assert "ended" in told["schedules"].problem
        assert told["schedule ahead"].severity == "error"
        assert "clock that ran ahead" in told["schedule ahead"].problem
        assert "--active-from now" in told["schedule ahead"].remedy
        assert "schedule planned" not in told


def test_the_command_line_sets_shows_and_takes_them_away(tmp_path: Path) -> None:
    uri = f"sqlite:{tmp_path / 'cronlite.db'}"

    def cronlite(*words: str) -> str:
        done = CliRunner().invoke(cli, ["--uri", uri, *words])
        assert done.exit_code == 0, done.output
        return done.output

    ends = ("--active-from", "2030-06-01 08:00", "--active-until", "2030-06-01 10:00", "--tz", "Europe/Berlin")
    cronlite("add", "--name", "fair", "--minute", "0", "--deadline", "10m", *ends)
    store = open_store(uri)
    [document] = store.schedules(ScheduleQuery())
    assert document["deadline_seconds"] == 600
    assert document["active_from"] == datetime(2030, 6, 1, 6, tzinfo=timezone.utc)
    assert document["active_until"] == datetime(2030, 6, 1, 8, tzinfo=timezone.utc)
    upcoming = cronlite("next", "fair", "-n", "9")
    assert [hour in upcoming for hour in ("08:00", "09:00", "10:00", "11:00")] == [True, True, True, False]
    assert "10 min" in cronlite("show", "fair")
    cronlite("edit", "fair", "--active-until", "none", "--deadline", "none")
    [document] = store.schedules(ScheduleQuery())
    assert {"active_until", "deadline_seconds"}.isdisjoint(document)
    store.close()
