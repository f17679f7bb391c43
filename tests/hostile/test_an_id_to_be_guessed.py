"""Ids: whole ones only in an application's hands, and none that can be reckoned from another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from cronlite import Cronlite, NotFound
from cronlite.documents import ids


@pytest.fixture
def cron(tmp_path: Any) -> Any:
    with Cronlite(f"sqlite:{tmp_path / 'jobs.db'}") as cron:
        yield cron


@pytest.mark.parametrize("method", ["get", "document", "remove", "pause", "resume", "trigger"])
def test_the_beginning_of_a_schedules_id_names_none(method: str, cron: Cronlite) -> None:
    alices = cron.schedule("alice", {"secret": 42}, minute=5)
    for length in (0, 4, 8, 23):
        with pytest.raises(NotFound):
            getattr(cron, method)(alices.id[:length])
    with pytest.raises(NotFound):
        cron.update(alices.id[:23], user="bob")
    assert cron.get(alices.id) == alices


@pytest.mark.parametrize("method", ["run_of", "retry", "cancel"])
def test_the_beginning_of_a_runs_id_names_none(method: str, cron: Cronlite) -> None:
    alices = cron.enqueue("mail", {"secret": 42}, user="alice")
    for length in (0, 4, 12, 44):
        with pytest.raises(NotFound):
            getattr(cron, method)(alices.id[:length])
    assert cron.runs(schedule=alices.id[:8]) == []
    assert alices.state == "queued"


def test_an_error_tells_nothing_of_what_others_have_stored(cron: Cronlite) -> None:
    cron.schedule("alice", name="merger-with-acme", minute=5)
    with pytest.raises(NotFound) as refused:
        cron.get("merger-with-acma")
    assert "acme" not in str(refused.value)


@pytest.mark.parametrize(
    "asked",
    [
        lambda cron: cron.enqueue("mail"),
        lambda cron: cron.trigger(cron.schedule("a", minute=5, overlap="allow").id),
        lambda cron: cron.retry(cron.cancel(cron.enqueue("mail").id).id),
    ],
)
def test_a_run_on_demand_has_128_bits_that_nobody_knows(asked: Callable[[Cronlite], Any], cron: Cronlite) -> None:
    first, second = asked(cron).id, asked(cron).id
    unknown = [id_[-32:] for id_ in (first, second)]
    assert unknown[0] != unknown[1]
    assert all(len(id_) == 45 and int(id_, 16) for id_ in (first, second))
    same = sum(a == b for a, b in zip(*unknown, strict=True))
    assert same < 20, f"{first} and {second} are alike"


def test_ids_of_one_process_sort_in_the_order_in_which_they_were_made() -> None:
    made: list[str] = []

    def make() -> None:
        made.extend(ids.new_run_id() for _ in range(2_000))

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8_000
    alone = [ids.new_run_id() for _ in range(2_000)]
    assert alone == sorted(alone)
