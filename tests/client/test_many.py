"""Are many calls queued at once as each would be alone, and is one that is refused told without stopping another?"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from cronlite import Conflict, Cronlite, InvalidInput, QuotaExceeded, StoreUnavailable
from cronlite.client import many
from cronlite.documents.options import Call
from cronlite.store import open_store
from tests.cli.conftest import Typed
from tests.store.overheard import Commands, overhear


@pytest.fixture
def cron() -> Iterator[Cronlite]:
    with Cronlite("memory:", quota={"queued": 3, "users": {"": {}}}) as opened:
        yield opened


def calls(count: int, **options: Any) -> list[Call]:
    return [{"handler": "extract", "params": {"n": n}, **options} for n in range(count)]  # type: ignore[typeddict-item]


def test_each_call_is_a_run_in_the_order_of_the_list(cron: Cronlite) -> None:
    later = datetime(2100, 1, 1, tzinfo=timezone.utc)
    told = cron.enqueue_many(
        [
            *calls(2_500),
            {"handler": "mail", "user": "bob", "run_at": later, "priority": 9, "limit": "smtp", "retries": 4},
        ]
    )
    assert told.refused == []
    handles = told.queued
    assert [handle.run.params.get("n") for handle in handles] == [*range(2_500), None]
    last = handles[-1].run
    assert (last.handler, last.user, last.run_at, last.priority, last.limit, last.retries) == (
        "mail", "bob", later, 9, "smtp", 4,
    )  # fmt: skip


def test_those_that_are_refused_are_told_with_their_place_and_stop_no_other(cron: Cronlite) -> None:
    wrong: list[Any] = [
        {"handler": "a b"},
        {"handler": "extract", "retires": 3},
        {"params": {}},
        "extract",
        {"handler": "extract", "params": {"n": float("nan")}},
        {"handler": "extract", "run_at": datetime(2026, 1, 1)},
        {"handler": "extract", "priority": 10},
        {"handler": "extract", "limit": {"$ne": 1}},
    ]
    told = cron.enqueue_many(itertools.chain(calls(1), *([one, *calls(1)] for one in wrong)))
    assert [refused.place for refused in told.refused] == list(range(1, 2 * len(wrong), 2))
    assert {type(refused.error) for refused in told.refused} == {InvalidInput}
    assert [handle is None for handle in told.handles] == [place % 2 == 1 for place in range(2 * len(wrong) + 1)]
    assert len(told.queued) == len(wrong) + 1 == cron.store.count_queued("", 100)
    assert "did you mean 'retries'" in str(told.refused[1].error)


def test_what_is_no_list_is_refused_as_a_whole(cron: Cronlite) -> None:
    for nonsense in ("extract", {"handler": "extract"}, b"x"):
        with pytest.raises(InvalidInput, match="is no list of calls"):
            cron.enqueue_many(nonsense)  # type: ignore[arg-type]
    assert cron.enqueue_many([]).handles == []


def test_a_dry_run_refuses_the_same_and_queues_nothing(cron: Cronlite) -> None:
    told = cron.enqueue_many([*calls(2), {"handler": ""}], dry_run=True)
    assert [refused.place for refused in told.refused] == [2]
    assert (told.queued, cron.runs()) == ([], [])


def test_a_key_is_held_by_one_queued_run_also_among_many(cron: Cronlite) -> None:
    first = cron.enqueue("extract", key="held", user="ann")
    told = cron.enqueue_many(
        [
            {"handler": "extract", "key": "held", "user": "ann"},
            {"handler": "extract", "key": "new"},
            {"handler": "extract", "key": "new"},
            {"handler": "extract", "key": "held", "user": "eve"},
            {"handler": "other", "key": "new"},
        ]
    )
    ids = [handle and handle.id for handle in told.handles]
    assert (ids[0], ids[1] == ids[2], ids[3:]) == (first.id, True, [None, None])
    assert [(refused.place, type(refused.error)) for refused in told.refused] == [(3, Conflict), (4, Conflict)]


def test_the_quota_of_each_user_holds_and_its_first_calls_get_in(cron: Cronlite) -> None:
    cron.enqueue("extract", user="eve")
    mixed = [call for pair in zip(calls(5, user="eve"), calls(5, user="bob"), strict=True) for call in pair]
    told = cron.enqueue_many([*mixed, *calls(10)])
    assert [refused.place for refused in told.refused] == [4, 6, 7, 8, 9]
    assert {type(refused.error) for refused in told.refused} == {QuotaExceeded}
    assert (cron.store.count_queued("eve", 9), cron.store.count_queued("bob", 9)) == (3, 3)
    with pytest.raises(QuotaExceeded):
        cron.enqueue("extract", user="bob")


def test_at_the_quota_a_key_that_is_held_still_finds_its_run(cron: Cronlite) -> None:
    held = cron.enqueue("extract", user="eve", key="k")
    cron.enqueue_many(calls(2), user="eve")
    assert cron.enqueue("extract", user="eve", key="k").id == held.id
    with pytest.raises(QuotaExceeded):
        cron.enqueue("extract", user="eve", key="another")


def test_a_store_that_fails_in_the_middle_refuses_the_rest(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many, "BATCH", 10)
    add, times = cron.store.add_runs, itertools.count()

    def fail_later(new: Any) -> set[str]:
        if next(times) >= 2:
            raise StoreUnavailable("gone")
        return add(new)

    monkeypatch.setattr(cron.store, "add_runs", fail_later)
    told = cron.enqueue_many(calls(50))
    assert [refused.place for refused in told.refused] == list(range(20, 50))
    assert {str(refused.error) for refused in told.refused} == {"gone"}
    assert next(times) == 3, "a store that is gone is not tried for each thousand"
    with pytest.raises(StoreUnavailable):
        cron.enqueue_many(calls(5))


@pytest.mark.mongod
def test_one_call_costs_one_round_trip_with_a_key_or_without(mongo_uri: str) -> None:
    commands = Commands()
    store = overhear(mongo_uri, commands)
    with Cronlite(mongo_uri) as cron:
        cron._opened._opened = os.getpid(), store
        cron.enqueue("extract")  # asks for the clock, the indexes and the handlers
        cron.enqueue("extract", key="first")
        commands.sent.clear()
        cron.enqueue("extract", key="second")
        cron.enqueue("extract")
        assert [next(iter(sent)) for sent in commands.sent] == ["insert", "insert"]
        assert [sent["writeConcern"] for sent in commands.sent] == 2 * [{"w": "majority", "j": True}]
        commands.sent.clear()
        assert len(cron.enqueue_many(calls(1_500, limit="api")).queued) == 1_500
        assert [next(iter(sent)) for sent in commands.sent].count("insert") == 2
        assert len(commands.sent) <= 3, "but for whether the limit is set"
        commands.sent.clear()
        assert cron.enqueue("extract", key="second").id
        assert [next(iter(sent)) for sent in commands.sent] == ["insert", "find"]


# the command line


def lines(*calls: Any) -> str:
    return "".join(f"{call if isinstance(call, str) else json.dumps(call)}\n" for call in calls)


@pytest.fixture
def typed(tmp_path: Path) -> Typed:
    return Typed(f"sqlite:{tmp_path / 'jobs.db'}")


def test_the_lines_of_a_file_are_queued_with_what_was_typed_for_all(typed: Typed, tmp_path: Path) -> None:
    file = tmp_path / "calls.jsonl"
    file.write_text(
        lines({"params": {"n": 1}}, "", {"handler": "mail", "user": "bob", "run_at": "2100-01-01T00:00:00Z"})
    )
    told = typed("enqueue", "extract", "--many", str(file), "--user", "ann", "--priority", "7").stdout
    assert told == "queued 2\n"
    store = open_store(typed.uri)
    runs = {run.handler: run for run in Cronlite(typed.uri).runs()}
    store.close()
    assert (runs["extract"].user, runs["extract"].priority, runs["extract"].params) == ("ann", 7, {"n": 1})
    assert (runs["mail"].user, runs["mail"].run_at) == ("bob", datetime(2100, 1, 1, tzinfo=timezone.utc))


def test_refused_lines_are_told_by_their_number_and_the_others_are_queued(typed: Typed) -> None:
    text = lines(
        {"handler": "extract"}, "{", "[]", {"params": {}}, {"handler": "extract", "run_at": "soon"}, {"handler": "a"}
    )
    dry = typed("enqueue", "--many", "-", "--dry-run", input=text, code=1)
    assert dry.stdout == "would queue 2\n"
    result = typed("enqueue", "--many", "-", input=text, code=1)
    assert result.stdout == "queued 2\n"
    for number in (2, 3, 4, 5):
        assert f"line {number}: " in result.stderr
    result = typed("enqueue", "--many", "-", "--json", input=text, code=1)
    told = json.loads(result.stdout)
    assert (told["queued"], len(told["runs"]), [one["line"] for one in told["refused"]]) == (2, 2, [2, 3, 4, 5])


@pytest.mark.parametrize(
    "words", [[], ["--many", "-", "--wait"], ["--many", "-", "--key", "k"], ["h", "--dry-run"], ["--many", "/none"]]
)
def test_what_does_not_go_with_many_is_refused(typed: Typed, words: list[str]) -> None:
    typed("enqueue", *words, code=2)


def test_an_instant_for_all_is_that_of_each(cron: Cronlite) -> None:
    told = cron.enqueue_many(calls(2, run_at=timedelta(hours=1)))
    assert all((handle.run.run_at or cron.now()) > cron.now() + timedelta(minutes=59) for handle in told.queued)
