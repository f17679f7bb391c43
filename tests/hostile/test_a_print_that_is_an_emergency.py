"""A handler prints what the journal obeys: a priority of its own, so that `<0>` comes up on every terminal."""

import contextvars
import os
import sys
from pathlib import Path

import pytest

from cronlite.handlers.output import Tail, capture_prints, enter_tail

PRINTED = "<0>fire\n  <1>indented\n\x1b[2J<2>cleared\nbegun <0>"


def test_no_line_of_a_run_has_a_priority_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "journal").open("w") as journal:
        there = os.fstat(journal.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{there.st_dev}:{there.st_ino}")
        monkeypatch.setattr(sys, "stdout", journal)
        with capture_prints():
            print("of nobody's run <0>")
            print("<0>in parts", end=" ")
            print("and whole")
            contextvars.Context().run(_run)
    assert (tmp_path / "journal").read_text().splitlines() == [
        "<6>of nobody's run <0>",
        "<6><0>in parts and whole",
        "<6><0>fire",
        "<6>  <1>indented",
        "<6>\\x1b[2J<2>cleared",
        "<6>begun <0>more",
    ]


def _run() -> None:
    enter_tail(tail := Tail())
    print(PRINTED, end="")
    print("more", end="")
    assert tail.end() == PRINTED.replace("\x1b", "\\x1b") + "more"
