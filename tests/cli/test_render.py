"""How do tables and times look?"""

from datetime import datetime, timedelta, timezone

import click
import pytest

from cronlite.cli import render
from cronlite.cli.render import Column

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(("seconds", "told"), [
    (0.0004, "0 ms"), (0.02, "20 ms"), (1, "1 s"), (119, "119 s"), (120, "2 min"), (7199, "120 min"), (7200, "2 h"),
    (172_799, "48 h"), (172_800, "2 d"), (1e10, "115741 d"),
])  # fmt: skip
def test_spans(seconds: float, told: str) -> None:
    assert render.span(seconds) == told


def test_relative_times() -> None:
    assert render.relative(NOW + timedelta(minutes=3), NOW) == "in 3 min"
    assert render.relative(NOW - timedelta(hours=5), NOW) == "5 h ago"
    assert render.relative(NOW, NOW) == "now"
    assert render.relative(None, NOW) == ""


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_row_is_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    columns = [Column("id"), Column("when", 8), Column("text", 8), Column("n", right=True)]
    rows = [["x" * 24, "日本語" * 10, "long " * 40, "7"], ["é" * 5, "", "short", "1234"]]
    told = click.unstyle(render.table(columns, rows)).splitlines()
    assert max(map(render.cells, told)) <= width
    assert len(told) == 3
    assert "x" * 24 in told[1]
    if width >= 60:
        assert told[1].endswith("   7")
        assert told[2].endswith("1234")


def test_where_nobody_looks_nothing_is_cut() -> None:
    assert "long " * 100 in render.table([Column("text", 8)], [["long " * 100]]) + " "


def test_a_column_without_anything_goes_away() -> None:
    assert click.unstyle(render.table([Column("a"), Column("b"), Column("c")], [["1", "", "3"]])) == "A  C\n1  3"


def test_a_cell_is_one_line() -> None:
    assert click.unstyle(render.table([Column("a")], [["x\ny\x1b[2J"]])) == "A\nx\\ny\\x1b[2J"


def test_pairs_wrap_under_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    told = click.unstyle(render.pairs([("a", "word " * 12), ("long label", "x\ny"), ("empty", "")])).splitlines()
    assert max(map(len, told)) <= 40
    assert told[-1].strip() == "y"
    assert not any("empty" in line for line in told)
