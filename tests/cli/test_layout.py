"""At 80 columns, with names of 50 characters, lists still answer their questions, and say what they leave out."""

from __future__ import annotations

import click
import pytest

from cronlite.cli import layout
from cronlite.cli.layout import Column, cells, cut_apart
from cronlite.client.app import Cronlite
from cronlite.documents import runs, transitions
from tests.cli.conftest import Typed

NAMES = [f"nightly-export-of-the-accounting-department-{n}-berlin" for n in (1, 2)]


@pytest.fixture
def long(typed: Typed, cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Two schedules with names that differ in their middle, and a run that failed of each."""
    for number, name in enumerate(NAMES):
        cron.schedule(
            "accounting@example.org" if number else "",
            name=name,
            cron="5 3 * * *",
            handler="extract_accounting_department",
            tz="Europe/Berlin" if number else "UTC",
            tags=["billing", "europe"],
        )
        run = cron.trigger(name).run
        error = {"type": "ValueError", "message": "no such dataset in the warehouse of the accounting department"}
        change = transitions.closed(runs.FAILED, cron.now(), started_at=cron.now(), error=error)
        cron.store.change_runs([(run, change)])
    monkeypatch.setenv("COLUMNS", "80")
    return typed


@pytest.mark.parametrize(
    ("words", "titles"),
    [
        (["runs"], ["RUN", "STATE", "DUE", "OUTCOME", "DOES", "TOOK"]),
        (["list"], ["SCHEDULE", "LAST", "NEXT", "DOES", "WHEN"]),
        (["next"], ["AT", "SCHEDULE", "ITS", "CLOCK", "DOES"]),
    ],
)
def test_every_question_has_its_column_and_names_differ(long: Typed, words: list[str], titles: list[str]) -> None:
    answer = long(*words)
    title, *lines = click.unstyle(answer.stdout).splitlines()
    assert title.split()[: len(titles)] == titles
    assert max(map(cells, [title, *lines])) <= 80
    place = title.index(titles[1] if words == ["next"] else titles[0])
    shown = {line[place:].split()[0] for line in lines}
    assert len(shown) == 2, shown
    missing = {"USER", "TAGS"} - set(title.split()) if words == ["list"] else set()
    assert all(name in answer.stderr for name in missing), "what has no room is told"


def test_what_had_no_room_is_told_and_nothing_is_where_all_fits(long: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    assert "no room for" in long("list").stderr
    assert "TAGS; a wider terminal shows more, and --json all" in long("list").stderr
    monkeypatch.setenv("COLUMNS", "400")
    answer = long("list")
    assert "no room for" not in answer.stderr
    assert all(name in answer.stdout for name in NAMES)


@pytest.mark.parametrize("width", [8, 12, 14, 20, 30])
def test_texts_that_differ_look_different_wherever_they_do(width: int) -> None:
    texts = [*NAMES, *(f"{name}@2026-11-29T03:0{n}Z" for name in NAMES for n in (1, 2)), "short", "日本語" * 20]
    shown = cut_apart(texts, width)
    assert set(shown) == set(texts)
    assert all(cells(text) <= width for text in shown.values()), shown
    assert len({shown[name] for name in NAMES}) == 2
    assert shown["short"] == "short"
    if width >= 14:
        assert len(set(shown.values())) == len(texts), shown


def test_what_stands_behind_a_comma_goes_before_anything_is_cut() -> None:
    columns = [Column("a", 4), Column("when", brief=True), Column("b", 4)]
    found = layout.layout(columns, [10, 20, 10], [10, 6, 10], 32)
    assert (found.widths, found.briefly, list(found.left_out)) == ([4, 20, 4], False, [])
    found = layout.layout(columns, [10, 20, 10], [10, 6, 10], 28)
    assert (found.widths, found.briefly, list(found.left_out)) == ([9, 6, 9], True, [])
    found = layout.layout(columns, [10, 20, 10], [10, 6, 10], 14)
    assert ([column.title for column in found.columns], found.left_out[0].title) == (["a", "when"], "b")
    assert layout.shortened(["02:30Z, in 9 h", "never"]) == ["02:30Z", "never"]
