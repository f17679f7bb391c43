"""Does what a run prints and logs reach its tail, and nothing else's?"""

import contextlib
import contextvars
import io
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from datetime import datetime, timezone

import click
import pytest

from cronlite.handlers import output
from cronlite.handlers.output import RunFields, Tail, capture_logs, capture_prints, enter_tail, printable, relay
from cronlite.handlers.registry import CurrentRun, enter_run

log = logging.getLogger("tests.output")


def in_run(act: Callable[[], object]) -> str | None:
    """Do something inside of a run, and return the run's output."""
    tail = Tail()

    def entered() -> None:
        due = datetime(2026, 11, 21, tzinfo=timezone.utc)
        enter_run(CurrentRun("r1", "alice", "extract", "nightly", due, 2, None, lambda: True))
        enter_tail(tail)
        act()

    contextvars.Context().run(entered)
    return tail.end()


@contextlib.contextmanager
def no_root_handlers() -> Iterator[None]:
    """Take away what pytest hears log records with."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
    finally:
        root.handlers = before


def test_runs_that_print_at_the_same_time_do_not_mix_within_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    half = threading.Barrier(2, timeout=60)

    def speak(word: str) -> None:
        for _ in range(50):
            print(word, end="", flush=True)
            half.wait()
            print(f"-{word}")
            half.wait()
        print(f"{word} without an end", end="")

    def run(word: str) -> None:
        def entered() -> None:
            enter_tail(tail := Tail())
            speak(word)
            tail.end()

        contextvars.Context().run(entered)

    with capture_prints():
        threads = [threading.Thread(target=run, args=[word]) for word in ("one", "two")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    lines = capfd.readouterr().out.splitlines()
    assert sorted(set(lines)) == ["one without an end", "one-one", "two without an end", "two-two"]
    assert len(lines) == 102


def test_a_line_without_an_end_goes_on_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    with capture_prints():
        told = in_run(lambda: [print("x" * 1000, end="") for _ in range(20)])
    assert told == "x" * 20_000
    assert len(capfd.readouterr().out) >= 2 * output.LONGEST_LINE


def test_an_empty_tail_has_no_text() -> None:
    assert Tail().text() is None


def test_a_tail_keeps_the_end_of_many_pieces() -> None:
    tail = Tail()
    for number in range(50_000):
        tail.write(f"{number}\n")
    text = tail.text()
    assert text is not None
    head, _, kept = text.partition("\n")
    assert head == "[earlier output was dropped]"
    assert len(kept) == output.TAIL_CHARACTERS
    assert kept.endswith("49998\n49999\n")


def test_a_tail_keeps_the_end_of_one_piece_and_holds_no_more() -> None:
    tail = Tail()
    tail.write("x" * 50_000_000 + "end")
    assert (tail.text() or "").startswith("[earlier output was dropped]\n")
    tail.write("!")
    assert sum(map(len, tail._pieces)) == output.TAIL_CHARACTERS
    assert (tail.text() or "").endswith("xend!")


def test_a_tail_that_just_fits_is_whole() -> None:
    tail = Tail()
    tail.write("x" * output.TAIL_CHARACTERS)
    assert tail.text() == "x" * output.TAIL_CHARACTERS


def test_many_threads_can_write_to_one_tail() -> None:
    tail = Tail()

    def write() -> None:
        for _ in range(2_000):
            tail.write("12345")

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = tail.text() or ""
    assert len(text.partition("\n")[2]) == output.TAIL_CHARACTERS
    assert sum(map(len, tail._pieces)) == tail._size


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("as it is, ü and 漢\n\ttoo", "as it is, ü and 漢\n\ttoo"),
        ("dos\r\nprogress 1\rprogress 2", "dos\nprogress 1\nprogress 2"),
        ("\x1b[31mred\x07\x00\x9b", "\\x1b[31mred\\x07\\x00\\x9b"),
        ("half \ud800", "half \\ud800"),
    ],
)
def test_text_becomes_fit_for_stores_and_terminals(text: str, shown: str) -> None:
    assert printable(text) == shown
    shown.encode()


def test_prints_of_a_run_go_to_its_tail_and_on() -> None:
    with redirect_stdout(io.StringIO()) as stdout, capture_prints():
        assert in_run(lambda: print("inside", 5)) == "inside 5\n"
        print("outside")
        assert in_run(lambda: sys.stdout.writelines(["a", "b"])) == "ab"
        assert in_run(lambda: None) is None
    assert stdout.getvalue() == "inside 5\noutside\nab\n"


def test_stdout_is_as_it_was_afterwards() -> None:
    before = sys.stdout, sys.stderr
    with capture_prints():
        assert sys.stdout is not before[0]
    assert (sys.stdout, sys.stderr) == before


def test_prints_go_nowhere_unless_captured() -> None:
    assert in_run(lambda: print("inside")) is None


def test_stderr_is_captured_too() -> None:
    with capture_prints():
        assert in_run(lambda: print("inside", file=sys.stderr)) == "inside\n"


def test_a_handler_cannot_close_stdout() -> None:
    with redirect_stdout(io.StringIO()) as stdout, capture_prints():
        in_run(lambda: sys.stdout.close())
        assert in_run(lambda: print("still")) == "still\n"
    assert stdout.getvalue() == "still\n"


def test_a_stream_that_is_gone_costs_a_run_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise BrokenPipeError

    stdout = io.StringIO()
    monkeypatch.setattr(stdout, "write", broken)
    monkeypatch.setattr(stdout, "flush", broken)
    with redirect_stdout(stdout), capture_prints():
        assert in_run(lambda: print("said", flush=True)) == "said\n"
        stdout.close()
        assert in_run(lambda: print("said", flush=True)) == "said\n"


def test_a_replaced_stdout_is_put_back_between_runs() -> None:
    with capture_prints():
        in_run(lambda: setattr(sys, "stdout", io.StringIO()))
        output.mend_streams()
        assert in_run(lambda: print("here")) == "here\n"
    with redirect_stdout(io.StringIO()) as replaced:
        output.mend_streams()
        assert sys.stdout is replaced, "nobody's business unless captured"


def test_capturing_twice_prints_once() -> None:
    with redirect_stdout(io.StringIO()) as stdout, capture_prints():
        with capture_prints():
            assert in_run(lambda: print("once")) == "once\n"
        assert in_run(lambda: print("twice")) == "twice\n"
    assert stdout.getvalue() == "once\ntwice\n"


def test_stdout_looks_like_itself_while_captured(capsys: pytest.CaptureFixture[str]) -> None:
    before = sys.stdout
    with capture_prints():
        assert (sys.stdout.encoding, sys.stdout.isatty()) == (before.encoding, before.isatty())
        assert not hasattr(sys.stdout, "nonsense")
        with pytest.raises(TypeError):
            sys.stdout.write(b"bytes")  # type: ignore[arg-type]


def test_a_captured_stdout_refuses_bytes_as_itself_does_and_click_takes_it_for_text(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with contextlib.closing(io.TextIOWrapper(io.BytesIO(), "utf-8")) as stream, redirect_stdout(stream):
        with capture_prints():
            for data in (b"", b"some"):
                with pytest.raises(TypeError):
                    sys.stdout.write(data)  # type: ignore[arg-type] # as click tries, to tell a binary stream
            assert in_run(lambda: click.echo("shown")) == "shown\n"
        stream.flush()
        assert stream.buffer.getvalue() == b"shown\n"
    assert capfd.readouterr() == ("", "")


def test_logs_of_a_run_go_to_its_tail() -> None:
    before = list(logging.getLogger().handlers)
    with capture_logs(), capture_logs():
        assert len(logging.getLogger().handlers) == len(before) + 1
        text = in_run(lambda: log.warning("%d rows", 3)) or ""
        assert text[2:3] == text[5:6] == ":"
        assert text.endswith("Z WARNING 3 rows\n")
        log.warning("outside")
    assert logging.getLogger().handlers == before
    assert in_run(lambda: log.warning("too late")) is None


def test_levels_are_the_applications(caplog: pytest.LogCaptureFixture) -> None:
    with capture_logs():
        caplog.set_level(logging.ERROR)
        assert in_run(lambda: log.warning("not worth it")) is None
        caplog.set_level(logging.DEBUG)
        assert (in_run(lambda: log.debug("detail")) or "").endswith("DEBUG detail\n")


def test_a_log_call_with_wrong_arguments_does_not_raise(capsys: pytest.CaptureFixture[str]) -> None:
    with no_root_handlers(), capture_logs():
        assert in_run(lambda: log.warning("%d rows", "three")) is None
    assert "Logging error" in capsys.readouterr().err


def test_an_application_without_logging_still_sees_its_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    with no_root_handlers(), capture_logs():
        in_run(lambda: log.warning("look here"))
        log.info("not this")
        log.error("and here")
    assert capsys.readouterr().err == "look here\nand here\n"


def test_records_carry_the_fields_of_their_run() -> None:
    records = [logging.makeLogRecord({"msg": "outside"})]
    RunFields().filter(records[0])
    inside, told = logging.makeLogRecord({}), logging.makeLogRecord({"run": "r9"})
    in_run(lambda: [RunFields().filter(record) for record in (inside, told)])
    assert [vars(records[0])[name] for name in ("run", "schedule", "attempt")] == [None, None, None]
    assert [vars(inside)[name] for name in ("run", "schedule", "attempt")] == ["r1", "nightly", 2]
    assert vars(told)["run"] == "r9", "what the log call said stays"


def test_what_a_child_printed_is_printed_for_it() -> None:
    with redirect_stdout(io.StringIO()) as stdout:
        assert in_run(lambda: relay("said\n")) == "said\n"
        with capture_prints():
            assert in_run(lambda: relay("said\n")) == "said\n"
        assert stdout.getvalue() == "said\nsaid\n"
        stdout.close()
        assert in_run(lambda: relay("said\n")) == "said\n"
