"""An operator's week, from Monday's deployment to Sunday's history: each command does what the day asks for."""

from __future__ import annotations

import pytest

from tests.cli import week


@pytest.mark.slow
def test_an_operators_week(monkeypatch: pytest.MonkeyPatch) -> None:
    transcript: list[str] = []
    monkeypatch.setenv("COLUMNS", "200")
    week.main(transcript.append, {})
    text = "\n".join(transcript)
    print(text)
    friday = text.partition("# Friday")[2].partition("# Saturday")[0]
    assert "its last change was by bob (cli)" in friday
    assert "queued 3 runs as backfill-" in friday
    assert friday.count("succeeded") == 4
    wednesday = text.partition("# Wednesday 19:00")[2].partition("# Thursday")[0]
    assert ("reports@2026-12-02T12:15Z  skipped" in wednesday, wednesday.count("succeeded")) == (True, 1)
    assert "it waits for limit bank" in text.partition("# Thursday")[2].partition("# Friday")[0]
    history = text.partition("what happened this week")[2].partition("freezes --ended")[0].splitlines()[3:-1]
    assert [tuple(line.split("  ")[-1].split(" ")[:1]) for line in history[-3:]] == [("added",)] * 3
    actors = [who for who in ("deploy", "bob", "carl") for line in history if who in line]
    assert (actors.count("deploy"), actors.count("bob"), actors.count("carl")) == (5, 7, 1)
