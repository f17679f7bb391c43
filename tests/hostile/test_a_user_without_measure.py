"""An operator's quota: what one user may have, refused at the door, on every store and however many write at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cronlite
from cronlite import ConfigurationError, Cronlite, InvalidInput, QuotaExceeded
from cronlite.cli import cli
from cronlite.client import quota as quotas
from cronlite.client.quota import Door, Quota
from cronlite.handlers.registry import Registry
from cronlite.store.contract import ClaimQuery
from tests.cli.conftest import runner
from tests.waiting import wait_until

QUOTA = {"schedules": 3, "queued": 5, "params_bytes": 100, "users": {"ann": {"queued": 7}, "nil": {"queued": 0}}}


@pytest.fixture(params=["file", "mongodb"])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(request.getfixturevalue("mongo_uri")) if request.param == "mongodb" else f"sqlite:{tmp_path / 'x.db'}"


@pytest.fixture
def cron(uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cronlite]:
    monkeypatch.setattr(quotas, "REFUSED_FOR_SECONDS", 0)
    with Cronlite(uri, quota=QUOTA) as cron:
        yield cron


def up_to(call: Callable[[int], object], tries: int = 20) -> int:
    """Call until it is refused for the quota; return how often it was let in."""
    for n in range(tries):
        try:
            call(n)
        except QuotaExceeded:
            return n
    return tries


def test_schedules_and_queued_runs_end_at_the_quota_of_their_user(cron: Cronlite) -> None:
    assert up_to(lambda _: cron.schedule("eve", minute=5)) == 3
    assert up_to(lambda _: cron.enqueue("h", {}, "eve")) == 5
    assert up_to(lambda _: cron.enqueue("h", {}, "ann")) == 7
    assert up_to(lambda _: cron.enqueue("h", {}, "nil")) == 0
    assert up_to(lambda _: cron.enqueue("h", {}, "")) == 20, "nobody is the application itself"
    assert up_to(lambda _: cron.schedule("bob", minute=5)) == 3, "and each user counts alone"


def test_there_is_room_again_once_something_has_gone(cron: Cronlite) -> None:
    runs = [cron.enqueue("h", {}, "eve") for _ in range(5)]
    with pytest.raises(QuotaExceeded, match="'eve' has 5 queued runs"):
        cron.enqueue("h", {}, "eve")
    cron.cancel(runs[0].id)
    cron.store.claim_runs("d", ClaimQuery(["h"], cron.now(), 1))
    assert up_to(lambda _: cron.enqueue("h", {}, "eve")) == 2
    schedules = [cron.schedule("eve", minute=5) for _ in range(3)]
    cron.remove(schedules[0].id)
    assert up_to(lambda _: cron.schedule("eve", minute=5)) == 1


def test_every_way_in_has_the_same_door(cron: Cronlite) -> None:
    mine = cron.schedule("eve", {"a": 1}, minute=5, name="mine", overlap="allow")
    bobs = [cron.schedule("bob", minute=n) for n in range(3)]
    runs = [cron.trigger(mine.id) for _ in range(5)]
    with pytest.raises(QuotaExceeded):
        cron.trigger(mine.id)
    cron.cancel(runs[0].id)
    cron.retry(runs[0].id)
    with pytest.raises(QuotaExceeded):
        cron.retry(runs[0].id)
    with pytest.raises(QuotaExceeded):
        cron.update(mine.id, user="bob")
    with pytest.raises(QuotaExceeded):
        cron.add(cronlite.Schedule(id="x", user="bob"))
    big = {"a": "x" * 100}
    for call in (
        lambda: cron.enqueue("h", big, "zoe"),
        lambda: cron.schedule("zoe", big, minute=5),
        lambda: cron.update(mine.id, params=big),
    ):
        with pytest.raises(QuotaExceeded, match="100"):
            call()
    assert cron.schedule("eve", {"a": 2}, minute=6, name="mine").id == mine.id, "a change adds nothing"
    assert cron.update(bobs[0].id, note="x").note == "x"


def test_a_key_that_is_held_needs_no_room(cron: Cronlite) -> None:
    held = cron.enqueue("h", {}, "eve", key="k")
    assert up_to(lambda _: cron.enqueue("h", {}, "eve")) == 4
    assert cron.enqueue("h", {}, "eve", key="k").id == held.id


def test_threads_of_one_process_get_in_exactly_the_quota(cron: Cronlite) -> None:
    admitted: list[int] = []

    def push() -> None:
        admitted.append(up_to(lambda _: cron.enqueue("h", {}, "ann"), 10))

    threads = [threading.Thread(target=push) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(admitted) == len(cron.runs(user="ann", limit=None)) == 7


def test_processes_that_write_at_once_exceed_it_by_a_hundredth_each_at_most(uri: str) -> None:
    code = (
        "import sys, cronlite\n"
        "cron = cronlite.Cronlite(sys.argv[1], quota={'queued': 300})\n"
        "cron.store.prepare(); print('ready', flush=True); sys.stdin.readline(); n = 0\n"
        "try:\n"
        "    while n < 1000: cron.enqueue('h', {}, 'eve'); n += 1\n"
        "except cronlite.QuotaExceeded: pass\n"
        "print(n)\n"
    )
    pipe: Any = subprocess.PIPE
    pushing = [
        subprocess.Popen([sys.executable, "-c", code, uri], stdin=pipe, stdout=pipe, text=True) for _ in range(3)
    ]
    for one in pushing:
        assert one.stdout.readline() == "ready\n"  # type: ignore[union-attr]
    for one in pushing:
        one.stdin.write("\n")  # type: ignore[union-attr]
        one.stdin.flush()  # type: ignore[union-attr]
    counts = [int(one.communicate(timeout=100)[0]) for one in pushing]
    assert 300 <= sum(counts) <= 300 + 3 * 3, counts


def test_counting_costs_little_where_there_is_room() -> None:
    counted: list[int] = []

    def count(_: str, limit: int) -> int:
        counted.append(limit)
        return 0

    door = Door(Quota.read({"queued": 10_000}))
    for _ in range(1_000):
        with door.one_more("queued", "eve", count):
            pass
    assert len(counted) < 60, "a hundredth is let in without counting, for a second"
    assert set(counted) == {10_000}, "and no further than the limit"


def test_many_users_cost_a_door_no_memory_without_bound() -> None:
    door = Door(Quota.read({"queued": 5}))
    for n in range(quotas.MOST_REMEMBERED + 500):
        with door.one_more("queued", f"u{n}", lambda _, __: 0):
            pass
    assert len(door._left) <= quotas.MOST_REMEMBERED
    assert not door._coming


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"queud": 5}, r"quota\.queud: 5 is no quota; did you mean 'queued'"),
        ({"queued": -1}, r"quota\.queued"),
        ({"queued": "many"}, r"quota\.queued"),
        ({"queued": True}, r"quota\.queued"),
        ({"users": {"eve": {"schedule": 1}}}, r"quota\.users\.eve\.schedule"),
        ({"users": {"eve": 5}}, r"quota\.users\.eve"),
        ([1], "no table"),
    ],
)
def test_a_quota_that_cannot_be_meant_is_refused(table: Any, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        Cronlite("memory:", quota=table)


def test_the_configuration_of_the_operator_counts_for_the_command_line_and_for_applications(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cronlite.toml").write_text(
        f'uri = "{uri}"\n[quota]\nschedules = 1\nqueued = 1\n[quota.users.ann]\nqueued = 2\n[run]\nseats = 3\n'
    )

    def typed(*words: str) -> tuple[int, str]:
        result = runner().invoke(cli, ["--config", str(tmp_path / "cronlite.toml"), *words])
        return result.exit_code, result.stderr

    assert typed("add", "--user", "eve", "--minute", "5")[0] == 0
    code, told = typed("add", "--user", "eve", "--minute", "6")
    assert (code, "quota" in told) == (1, True)
    assert [typed("enqueue", "h", "--user", "ann")[0] for _ in range(3)] == [0, 0, 1]
    monkeypatch.setenv("CRONLITE_CONFIG", str(tmp_path / "cronlite.toml"))
    with Cronlite(uri) as application, pytest.raises(QuotaExceeded):
        application.schedule("eve", minute=5)
    (tmp_path / "cronlite.toml").write_text("[quota]\nqueued = 'x'\n")
    with pytest.raises(ConfigurationError, match=r"quota\.queued"):
        Cronlite(uri)
    assert typed("list")[0] == 2


def test_what_a_handler_in_a_child_process_asks_for_counts(uri: str) -> None:
    from tests.client.chains import end, plainly

    registry = Registry()
    registry.handler(isolation="process")(plainly)
    registry.handler("end")(end)
    with Cronlite(uri, registry=registry, quota={"users": {"eve": {"queued": 0}}}) as cron:
        cron.start(drain_seconds=5)
        cron.store.add_runs([quiet_run(cron)])
        run = wait_until(lambda: next(iter(cron.runs(state="failed")), None))
    assert run.error is not None
    assert "quota" in run.error["message"]


def quiet_run(cron: Cronlite) -> Any:
    """Make a run of eve's that came in before the quota did."""
    return cron._on_demand("plainly", {}, "eve")
