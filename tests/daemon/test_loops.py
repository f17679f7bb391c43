"""A daemon does its work, or says so wherever people look, or gives up so that others do it: never the quiet dead."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

import pytest

from cronlite import Cronlite
from cronlite.client.doctor import doctor
from cronlite.contrib.health import health
from cronlite.daemon import loops, rounds
from cronlite.daemon.claims import Claimer
from cronlite.daemon.loops import Daemon
from cronlite.daemon.options import Options
from cronlite.documents.runs import SUCCEEDED
from cronlite.errors import StoreError, StoreUnavailable
from cronlite.handlers.registry import Registry
from cronlite.store.contract import Store
from tests.daemon.test_durations import a_past
from tests.store.samples import a_run
from tests.waiting import wait_until

Told = list[tuple[str, str]]
QUICK = Options(silence_seconds=1, drain_seconds=1)
"""With a beat every sixth of a second."""


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.add("ok", lambda _: "done")
    return found


@pytest.fixture
def told() -> Told:
    return []


@pytest.fixture
def daemon(store: Store, registry: Registry, told: Told) -> Iterator[Daemon]:
    made = Daemon(store, registry, QUICK, notify=lambda event, status: told.append((event, status)))
    yield made
    made.stop()


def refusing(error: BaseException) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise error

    return refuse


def loop_threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("cronlite-")}


class Raising(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError("no space left on device")


@pytest.fixture
def full_disk() -> Iterator[None]:
    """An application's own log handler, which raises at every line."""
    handler, root = Raising(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    yield
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_log_that_cannot_be_written_ends_no_loop(store: Store, daemon: Daemon, full_disk: None) -> None:
    daemon.start()
    assert daemon.wait_ready(60)
    asked = a_run(handler="ok", run_at=daemon.clock.now())
    store.add_runs([asked])
    daemon.wake()
    wait_until(lambda: (found := store.run(asked.id)) and found.state == "succeeded", what="the run")
    wait_until(lambda: any(tick.done_at for tick in store.ledger(daemon.clock.now(), daemon.clock.now())))
    assert daemon.fallen == ""


def test_a_listener_that_raises_ends_no_loop(store: Store, registry: Registry) -> None:
    daemon = Daemon(store, registry, QUICK, notify=refusing(RuntimeError("nobody listens")))
    daemon.start()
    assert daemon.wait_ready(60)
    wait_until(lambda: any(tick.done_at for tick in store.ledger(daemon.clock.now(), daemon.clock.now())))
    assert daemon.stop() == []


def test_a_daemon_that_has_started_knows_how_long_handlers_took_before_it(store: Store, daemon: Daemon) -> None:
    a_past(store, "ok", (SUCCEEDED, 0.1))
    daemon.start()
    wait_until(lambda: daemon.claimer.outcomes.durations.mean(["ok"]) == 0.1, what="the last run tells")


def test_in_a_flood_of_runs_a_daemon_does_not_watch_for_others(
    store: Store, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[float] = []
    flooded = iter([False, True, True])

    def watch(seconds: float) -> bool:
        watched.append(seconds)
        daemon.claimer.is_flooded = next(flooded)
        return not daemon.claimer.is_flooded

    monkeypatch.setattr(store, "watch", watch)
    monkeypatch.setattr(Claimer, "has_ebbed", lambda claimer: not claimer.is_flooded)
    assert daemon._watch() == loops.HEARD_SECONDS
    assert daemon._watch() == loops.FLOODED_SECONDS, "its wait was ended"
    assert daemon._watch() == loops.FLOODED_SECONDS
    assert len(watched) == 2, "no third one"
    daemon.claimer.is_flooded = False
    daemon._watch()
    assert len(watched) == 3


def test_a_claim_is_repeated_at_once_only_where_there_may_be_more(
    store: Store, daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon, "_hears", True)
    monkeypatch.setattr(daemon.claimer, "claim", lambda: 1)
    assert daemon._claim() > 0, "all there was is claimed"
    daemon.claimer.may_have_left_some = True
    assert daemon._claim() == 0, "as many were claimed as there was room for"
    daemon.claimer.may_have_left_some = False
    store.prepare()
    store.add_runs([a_run(handler="ok", run_at=daemon.clock.now())])
    assert daemon._claim() == 0, "another has come, or a daemon that wanted the same was faster"


@pytest.mark.parametrize("loop", ["tick", "claim", "beat", "record-1"])
def test_a_daemon_that_loses_a_loop_stops_beating_ticking_and_claiming(
    store: Store, daemon: Daemon, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    before = loop_threads()
    daemon.start()
    assert daemon.wait_ready(60)
    # What ends a thread without a word, as SystemExit and gevent's GreenletExit do.
    places = {
        "tick": (daemon, "_show_life"),
        "claim": (daemon.claimer, "claim"),
        "beat": (store, "beat"),
        "record-1": (daemon.claimer.outcomes.recorders[0], "record"),
    }
    monkeypatch.setattr(*places[loop], refusing(SystemExit(1)))
    wait_until(lambda: daemon.fallen == loop, what=f"the {loop} loop falls")
    ended = {"cronlite-tick", "cronlite-claim", "cronlite-beat", "cronlite-watch"}
    wait_until(lambda: not (loop_threads() - before) & ended, what="the loops end", instead=loop_threads)
    assert daemon.is_hopeless
    assert f"its {loop} loop has ended" in daemon.trouble
    assert len(store.daemons()) == 1  # it has not left: others see its beat stand still


def test_whoever_runs_a_daemon_hears_that_it_gave_up(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = threading.Event()
    daemon.on_fall = heard.set
    daemon.start()
    assert daemon.wait_ready(60)
    monkeypatch.setattr(daemon.claimer, "claim", refusing(SystemExit(1)))
    assert heard.wait(60)
    assert "cronlite-beat" in loop_threads()  # until it is stopped: handlers may still be at work


def test_an_application_is_told_that_its_daemon_gave_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with Cronlite("memory:", registry=Registry()) as cron:
        cron.start(silence_seconds=1)
        assert cron._embedded.daemon is not None
        assert cron._embedded.daemon.wait_ready(60)
        assert (cron.running, cron.stalled) == (True, False)
        monkeypatch.setattr(cron._embedded.daemon.claimer, "claim", refusing(SystemExit(1)))
        wait_until(lambda: not cron.running, what="it gave up")
        assert cron.stalled
        report = health(cron)
        assert (report["healthy"], report["daemon_here"]) == (False, False)


def test_a_daemon_that_cannot_tick_says_so_everywhere(
    store: Store, daemon: Daemon, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "FAILING_SECONDS", 0.2)
    monkeypatch.setattr(store, "expressions", refusing(StoreError("memory: refused: it is too large")))
    daemon.start()
    assert daemon.wait_ready(60)

    def wrong() -> str:
        return next((one.trouble for one in store.daemons()), "")

    wait_until(wrong, what="the trouble is in the daemon's record")
    assert wrong().startswith("it has not ticked since ")
    assert wrong().endswith("Z: memory: refused: it is too large")
    assert ("error", wrong()) in [(finding.severity, finding.problem) for finding in doctor(store)]
    wait_until(lambda: any(wrong() in status for _, status in told), what="systemd's status", instead=lambda: told)
    with Cronlite("memory:", registry=Registry()) as cron:
        monkeypatch.setattr(Cronlite, "store", store)
        assert health(cron)["troubles"] == {daemon.membership.id: wrong()}


@pytest.mark.parametrize(
    ("error", "signs"),
    [
        (StoreError("memory: refused: it is too large"), {"failing"}),
        (ValueError("a fault of cronlite"), {"failing"}),
        (StoreUnavailable("memory: cannot be reached"), {"failing", "waiting"}),
    ],
    ids=["refused", "a fault", "out of reach"],
)
def test_without_hope_there_are_no_signs_of_life_for_a_watchdog(
    store: Store, daemon: Daemon, told: Told, monkeypatch: pytest.MonkeyPatch, error: Exception, signs: set[str]
) -> None:
    monkeypatch.setattr(rounds, "FAILING_SECONDS", 0.1)
    monkeypatch.setattr(rounds, "HOPELESS_SECONDS", 0.5)
    for poll in ("POLL_SECONDS", "POLL_SECONDS_HEARING"):  # or loops with nothing to do would look hopeless
        monkeypatch.setattr(loops, poll, 0.1)
    monkeypatch.setattr(store, "ledger", refusing(error))
    daemon.start()
    assert daemon.wait_ready(60)
    wait_until(lambda: "it has not ticked since" in daemon.trouble and ("failing", daemon.trouble) in told)
    wait_until(lambda: isinstance(error, StoreUnavailable) or daemon.is_hopeless)
    told.clear()
    wait_until(lambda: {event for event, _ in told} >= signs and len(told) > 15, instead=lambda: told)
    assert {event for event, _ in told} == signs


def test_a_tick_that_comes_to_no_end_is_told(
    store: Store, daemon: Daemon, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "HOPELESS_SECONDS", 0.5)
    gate = threading.Event()
    ledger = store.ledger

    def slow(*given: object) -> object:
        gate.wait(60)
        return ledger(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "ledger", slow)
    daemon.start()
    assert daemon.wait_ready(60)
    wait_until(lambda: any("not come to its end" in one.trouble for one in store.daemons()), what="the trouble")
    gate.set()
    wait_until(lambda: all("not ticked" not in one.trouble for one in store.daemons()), what="the end of the trouble")
