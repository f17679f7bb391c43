"""Can people, machines and the journal read what is logged?"""

import io
import json
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cronlite.daemon.logs import configure
from cronlite.errors import InvalidInput
from cronlite.handlers.output import leads_to_journal

log = logging.getLogger("tests.logs")
RUN = {"run": "5f@2026-11-21T02:30Z", "schedule": "5f", "attempt": 2}


@pytest.fixture(autouse=True)
def _untouched_root() -> Iterator[None]:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    yield
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def fail() -> None:
    try:
        raise ValueError("no luck")
    except ValueError:
        log.exception("it failed\nbadly", extra=RUN)


def test_text_has_time_level_and_message(stream: io.StringIO) -> None:
    configure(stream=stream)
    log.info("%d rows", 3)
    log.debug("not this")
    time, _, rest = stream.getvalue().partition("Z ")
    assert len(time) == len("2026-11-21 02:30:01")
    assert rest == "INFO    3 rows\n"


def test_text_names_the_run(stream: io.StringIO) -> None:
    configure(stream=stream)
    log.warning("slow", extra=RUN)
    assert stream.getvalue().endswith("WARNING slow run=5f@2026-11-21T02:30Z schedule=5f attempt=2\n")


def test_the_rest_of_a_message_cannot_pass_for_a_line_of_its_own(stream: io.StringIO) -> None:
    configure(stream=stream)
    fail()
    _first, *others = stream.getvalue().splitlines()
    assert others[0].startswith("    badly run=5f")
    assert others[-1] == "    ValueError: no luck"
    assert all(line.startswith("    ") for line in others)


def test_json_is_one_object_a_line_with_stable_keys(stream: io.StringIO) -> None:
    configure("json", stream)
    log.info("%d rows\nof ü", 3)
    fail()
    plain, failed = map(json.loads, stream.getvalue().splitlines())
    assert list(plain) == ["time", "level", "logger", "message"]
    assert plain["time"][10] == "T"
    assert plain["time"].endswith("Z")
    assert (plain["level"], plain["logger"], plain["message"]) == ("info", "tests.logs", "3 rows\nof ü")
    assert list(failed) == ["time", "level", "logger", "message", "run", "schedule", "attempt", "exception"]
    assert {name: failed[name] for name in RUN} == RUN
    assert failed["exception"].endswith("ValueError: no luck")


def test_the_journal_gets_a_priority_on_each_line_and_no_time(stream: io.StringIO) -> None:
    configure(stream=stream, journal=True)
    log.info("fine")
    fail()
    first, second, *_, last = stream.getvalue().splitlines()
    assert (first, second) == ("<6>INFO    fine", "<3>ERROR   it failed")
    assert last == "<3>    ValueError: no luck"


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (25, 6), (logging.INFO, 6), (logging.DEBUG, 7)],
)
def test_levels_become_priorities(stream: io.StringIO, level: int, priority: int) -> None:
    configure("json", stream, journal=True, level=logging.DEBUG)
    log.log(level, "said")
    assert stream.getvalue().startswith(f'<{priority}>{{"time"')


def test_a_stream_that_leads_to_the_journal_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w") as journal:
        there = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        assert leads_to_journal(journal)
        configure(stream=journal)
        log.info("fine")
    assert (tmp_path / "journal").read_text() == "<6>INFO    fine\n"
    assert not leads_to_journal(journal), "it is closed"
    assert not leads_to_journal(io.StringIO())
    with (tmp_path / "other").open("w") as other:
        assert not leads_to_journal(other)
        monkeypatch.delenv("JOURNAL_STREAM")
        assert not leads_to_journal(other)


def test_configuring_again_replaces_what_was_configured(stream: io.StringIO) -> None:
    before = len(logging.getLogger().handlers)
    configure()
    configure("json", stream)
    assert len(logging.getLogger().handlers) == before + 1
    log.info("once")
    assert stream.getvalue().count("once") == 1


def test_the_default_is_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure(stream=sys.stderr)
    log.info("here")
    assert capsys.readouterr().err.endswith("here\n")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(InvalidInput, match="format: 'jsn' is no log format; did you mean 'json'"):
        configure("jsn")  # type: ignore[arg-type]
