"""What do status and doctor see?"""

import json
import threading
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

import pytest

from cronlite.client.app import Cronlite
from cronlite.client.doctor import doctor
from cronlite.client.status import status
from cronlite.dispatch import limits
from cronlite.documents.daemons import DaemonRecord
from cronlite.documents.runs import Run
from cronlite.documents.ticks import Tick
from cronlite.errors import StoreError
from tests.cli.conftest import Typed
from tests.services.mongod import Mongod
from tests.waiting import wait_until


def joined(cron: Cronlite, name: str = "d", **fields: object) -> None:
    record = {"host": "box", "pid": 7, "version": "1", "handlers": ["double"], "seats": 4, **fields}
    cron.store.join(DaemonRecord(id=name, started_at=datetime.now(timezone.utc), **record))  # type: ignore[arg-type]


def queued(cron: Cronlite, handler: str, **fields: object) -> Run:
    now = datetime.now(timezone.utc)
    run = Run(id=f"r-{handler}", handler=handler, params={}, due_at=now, queued_at=now, run_at=now)
    for name, value in fields.items():
        setattr(run, name, value)
    cron.store.add_runs([run])
    return run


def problems(typed: Typed, code: int = 1) -> dict[str, str]:
    found = json.loads(typed("doctor", "--json", code=code).stdout)
    assert all(set(one) == {"severity", "subject", "problem", "remedy"} and one["remedy"] for one in found), found
    return {one["subject"]: f"{one['severity']}: {one['problem']} -> {one['remedy']}" for one in found}


def test_status_of_an_empty_store(typed: Typed) -> None:
    told = typed.json("status", code=1)
    assert set(told) == {
        "address",
        "now",
        "next_wake",
        "daemons",
        "ticks",
        "gaps",
        "queue",
        "unknown_handlers",
        "failing",
        "paused",
        "alarms",
        "channels",
        "freezes",
    }
    assert told["daemons"] == told["ticks"] == told["gaps"] == told["queue"] == []
    assert told["next_wake"] is None
    assert "no daemon is alive" in typed("status", code=1).stdout


def test_status_shows_daemons_ticks_gaps_and_the_queue(typed: Typed, cron: Cronlite) -> None:
    joined(cron)
    cron.store.beat("d", running=3, stuck=2)
    joined(cron, "e")
    cron.store.mark_dead("e", 0)
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    first = now - timedelta(hours=3)
    gap = Tick(
        minute=first + timedelta(seconds=30),
        daemon="d",
        claimed_at=now,
        from_at=first,
        to_at=now - timedelta(hours=2),
        skipped=5,
        done_at=now,
    )
    cron.store.claim_tick(gap)
    cron.store.finish_tick(gap)
    queued(cron, "double")
    queued(cron, "nix")
    told = typed.json("status")
    assert [(one["id"], one["alive"], one["running"]) for one in told["daemons"]] == [("d", True, 3), ("e", False, 0)]
    assert told["gaps"][0]["skipped"] == 5
    assert told["unknown_handlers"] == ["nix"]
    assert {(one["state"], one["handler"]): one["runs"] for one in told["queue"]} == {
        ("queued", "double"): 1,
        ("queued", "nix"): 1,
    }
    people = typed("status").stdout
    assert "1 alive, 1 dead" in people
    assert "2 threads" in people
    assert "61 min without a tick, 5 runs left out" in people
    assert "has the handler 'nix'" in people


def test_a_daemon_that_has_been_silent_is_not_called_alive(cron: Cronlite, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(cron)
    assert [one.id for one in status(cron.store).alive] == ["d"]
    later = datetime.now(timezone.utc) + timedelta(seconds=31)
    monkeypatch.setattr(type(cron.store), "now", lambda _: later)
    assert [one.id for one in status(cron.store).dead] == ["d"]


def test_the_doctor_finds_nothing_where_all_is_well(typed: Typed, cron: Cronlite) -> None:
    joined(cron)
    typed("add", "--handler", "double", "--name", "n")
    assert problems(typed, code=0) == {}
    assert typed("doctor").stdout == "nothing is wrong\n"


def test_a_standalone_server_is_told_from_a_replica_set(start_mongod: Callable[..., Mongod], mongo_uri: str) -> None:
    alone = Cronlite(start_mongod(replica_set=None).uri_of("cronlite"))
    with alone, Cronlite(mongo_uri) as of_a_set:
        found = [[one for one in doctor(cron.store) if one.subject == "MongoDB"] for cron in (alone, of_a_set)]
    assert [one.severity for one in found[0]] == ["warning"]
    assert "replica set" in found[0][0].remedy
    assert found[1] == []


def test_no_daemon_is_an_error(typed: Typed) -> None:
    assert "start one: cronlite run" in problems(typed)["daemons"]


def test_every_document_that_cannot_be_read_has_its_remedy(typed: Typed, cron: Cronlite) -> None:
    joined(cron)
    bad: dict[str, dict[str, object]] = {
        "m": {"minute": "banana"},
        "z": {"tz": "Europe/Berlinn"},
        "h": {"handler": "two words"},
        "p": {"params": [1]},
    }
    for name, fields in bad.items():
        cron.store.add_schedule({"_id": name, "params": {}, **fields})
    found = problems(typed)
    assert set(found) == {"schedule m", "schedule z", "schedule h", "schedule p"}
    assert "did you mean 'Europe/Berlin'?" in found["schedule z"]
    assert "'cronlite edit m --minute 0'" in found["schedule m"]


def test_handlers_that_nobody_has_are_named_with_what_was_meant(typed: Typed, cron: Cronlite) -> None:
    for name in "abcde":
        typed("add", "--name", name, "--handler", "duoble")
    typed("add", "--name", "off", "--handler", "off", "--disabled")
    queued(cron, "lost")
    assert set(problems(typed)) == {"daemons"}
    joined(cron)
    found = problems(typed)
    assert set(found) == {"handler duoble", "handler lost"}
    assert "a, b, c and 2 more" in found["handler duoble"]
    assert "did you mean 'double'?" in found["handler duoble"]


def test_queues_that_nobody_serves_are_named_with_what_waits_in_them(typed: Typed, cron: Cronlite) -> None:
    for name, queue in (("1", "reports"), ("2", "reports"), ("3", "mail"), ("4", "default")):
        queued(cron, "double", id=name, queue=queue)
    assert set(problems(typed)) == {"daemons"}
    joined(cron, "sends", seats=0)
    joined(cron, "mails", queues=("mail",), ticks=False)
    found = problems(typed)
    assert set(found) == {"queue reports", "queue default"}
    assert "2 queued runs" in found["queue reports"]
    assert "--queue reports" in found["queue reports"]
    joined(cron, "all")
    assert problems(typed, code=0) == {}


def test_dead_owners_stuck_threads_and_gaps_are_found(typed: Typed, cron: Cronlite) -> None:
    joined(cron)
    cron.store.beat("d", running=0, stuck=1)
    queued(cron, "double", state="running", daemon="gone", attempt=1)
    now = datetime.now(timezone.utc).replace(second=0, microsecond=0)
    first = now - timedelta(minutes=30)
    cron.store.claim_tick(
        Tick(
            minute=first + timedelta(seconds=30),
            daemon="d",
            claimed_at=now,
            from_at=first,
            to_at=now - timedelta(minutes=21),
            done_at=now,
        )
    )
    found = problems(typed, code=0)
    assert "1 running run " in found["daemon gone"]
    assert any("1 thread stuck" in told for told in found.values())
    assert any("no daemon ticked in 10 minutes" in told for told in found.values())


def test_workers_alone_do_not_tick_and_tell_their_trouble(typed: Typed, cron: Cronlite) -> None:
    joined(cron, ticks=False)
    cron.store.beat("d", running=0, stuck=0, trouble="the broker does not answer")
    found = problems(typed)
    assert "only workers are alive" in found["daemons"]
    assert "the broker does not answer" in found["daemon d (box, pid 7)"]
    assert typed.json("status")["next_wake"] is None
    people = typed("status").stdout
    assert "no daemon that ticks is alive" in people
    assert "daemon d: the broker does not answer" in people


def troubles(cron: Cronlite) -> str:
    """Say what troubles the daemons that have joined."""
    return "".join(daemon.trouble for daemon in cron.store.daemons())


def test_a_coroutine_that_blocks_its_loop_is_told_everywhere(
    typed: Typed, cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "CUT_SECONDS", 0.1)
    gate = threading.Event()

    async def stuck(params: object) -> None:
        gate.wait(60)

    cron.registry.add("stuck", stuck)
    cron.start(silence_seconds=1)
    blocking = cron.enqueue("stuck", timeout_seconds=0.1)
    told = f"run {blocking.id} of stuck blocks its asyncio loop"
    wait_until(lambda: told in troubles(cron), what="the trouble is in the daemon's record")
    errors = [one["problem"] for one in typed.json("doctor", code=1) if one["severity"] == "error"]
    assert [told in problem for problem in errors] == [True], errors
    assert told in typed("status").stdout
    gate.set()
    wait_until(lambda: not troubles(cron), what="the end of the trouble")
    problems(typed, code=0)


def test_a_clock_that_is_off_is_found(cron: Cronlite, typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    joined(cron)
    answered = datetime.now(timezone.utc) + timedelta(seconds=7)
    monkeypatch.setattr(type(cron.store), "now", lambda _: answered)
    (told,) = problems(typed, code=0).values()
    assert "behind the store's" in told
    assert "mend its time service" in told


def test_complaints_and_refusals_of_the_store_are_findings(
    typed: Typed, cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined(cron)
    monkeypatch.setattr(type(cron.store), "prepare", lambda _: ["The index x cannot be built: why. Do this."])
    assert "warning: The index x" in problems(typed, code=0)["indexes"]

    def refuse(_: object) -> list[str]:
        raise StoreError("not allowed")

    monkeypatch.setattr(type(cron.store), "prepare", refuse)
    assert "error: cannot be looked at: not allowed" in problems(typed)["indexes"]


def test_a_working_daemon_is_seen(typed: Typed, cron: Cronlite) -> None:
    cron.start()
    wait_until(cron.store.daemons, what="the daemon")
    assert typed.json("status")["daemons"][0]["handlers"] == ["boom", "double"]
