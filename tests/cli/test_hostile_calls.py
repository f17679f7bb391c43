"""Whatever is passed to the API: refused with field, value and remedy, and nothing stored."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cronlite.client.app import Cronlite
from cronlite.errors import ConfigurationError, InvalidInput
from tests.cli.conftest import stored

HUGE = "1," * 1_000_000 + "1"
CYCLE: dict[str, Any] = {}
CYCLE["a"] = CYCLE
NAIVE = datetime(2026, 1, 1)

# Any: what a type checker would say of these calls is another file of tests.
API: list[tuple[str, Callable[[Any], object]]] = [
    ("params", lambda cron: cron.schedule("u", [1])),
    ("params", lambda cron: cron.schedule("u", {"a": math.nan})),
    ("params", lambda cron: cron.schedule("u", {"a": object()})),
    ("params", lambda cron: cron.schedule("u", {5: 1})),
    ("params", lambda cron: cron.schedule("u", {"a": 2**70})),
    ("params", lambda cron: cron.schedule("u", {"a": b"bytes"})),
    ("params", lambda cron: cron.schedule("u", CYCLE)),
    ("params", lambda cron: cron.schedule("u", {"$where": "1"})),
    ("user", lambda cron: cron.schedule(5)),
    ("user", lambda cron: cron.schedule("a\x00b")),
    ("minute", lambda cron: cron.schedule("u", minute=60)),
    ("minute", lambda cron: cron.schedule("u", minute=True)),
    ("minute", lambda cron: cron.schedule("u", minute=5.5)),
    ("minute", lambda cron: cron.schedule("u", minute=math.nan)),
    ("minute", lambda cron: cron.schedule("u", minute=10**5_000)),
    ("minute", lambda cron: cron.schedule("u", minute={"$gt": 0})),
    ("minute", lambda cron: cron.schedule("u", minute=HUGE)),
    ("hour", lambda cron: cron.schedule("u", hour="22-2")),
    ("tz", lambda cron: cron.schedule("u", tz=5)),
    ("tz", lambda cron: cron.schedule("u", tz="Mars/Base")),
    ("enabled", lambda cron: cron.schedule("u", enabled="yes")),
    ("retries", lambda cron: cron.schedule("u", retries=1.5)),
    ("retries", lambda cron: cron.schedule("u", retries=True)),
    ("timeout_seconds", lambda cron: cron.schedule("u", timeout_seconds=math.inf)),
    ("timeout_seconds", lambda cron: cron.schedule("u", timeout_seconds=math.nan)),
    ("overlap", lambda cron: cron.schedule("u", overlap=["skip"])),
    ("tags", lambda cron: cron.schedule("u", tags="a")),
    ("name", lambda cron: cron.schedule("u", name="")),
    ("name", lambda cron: cron.schedule("u", name=5)),
    ("handlr", lambda cron: cron.schedule("u", handlr="x")),
    ("active_from", lambda cron: cron.schedule("u", active_from=NAIVE)),
    ("cron", lambda cron: cron.schedule("u", cron=5)),
    ("minute", lambda cron: cron.schedule("u", minute=5, cron="@daily")),
    ("handler", lambda cron: cron.enqueue("no handler!")),
    ("handler", lambda cron: cron.enqueue(len)),
    ("run_at", lambda cron: cron.enqueue("h", run_at=NAIVE)),
    ("run_at", lambda cron: cron.enqueue("h", run_at="now")),
    ("run_at", lambda cron: cron.enqueue("h", run_at=timedelta.max)),
    ("key", lambda cron: cron.enqueue("h", key=5)),
    ("retry", lambda cron: cron.enqueue("h", retry=5)),
    ("on_crash", lambda cron: cron.enqueue("h", on_crash="panic")),
    ("state", lambda cron: cron.runs(state="done")),
    ("since", lambda cron: cron.runs(since=NAIVE)),
    ("at", lambda cron: cron.current_schedules(NAIVE)),
    ("seat", lambda cron: cron.start(seat=5)),
    ("seats", lambda cron: cron.start(seats="many")),
]


@pytest.fixture
def cron_api(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri) as cron:
        yield cron


@pytest.mark.parametrize(("field", "call"), API, ids=[f"{n}-{field}" for n, (field, _) in enumerate(API)])
def test_hostile_calls(field: str, call: Callable[[Cronlite], object], cron_api: Cronlite, uri: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        call(cron_api)
    told = str(refused.value)
    assert field in told
    assert "\n" not in told
    assert len(told) < 1_200
    assert any(fault.remedy for fault in refused.value.faults), told
    assert stored(uri) == ([], [])


@pytest.mark.parametrize("uri", ["", "x", "http://h/x", "mongodb://h:99999/x", "sqlite::"])
def test_hostile_uris(uri: str) -> None:
    with pytest.raises(ConfigurationError), Cronlite(uri or ":") as cron:
        cron.store.prepare()


def test_an_instant_at_the_edge_of_time(cron_api: Cronlite) -> None:
    for instant in (datetime.max, datetime.min):
        cron_api.current_schedules(instant.replace(tzinfo=timezone.utc))
