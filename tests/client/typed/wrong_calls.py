"""Calls that a type checker has to report, each on its line. Nothing here is ever run."""

from datetime import datetime, timezone

import cronlite

cron = cronlite.Cronlite("memory:")
later = datetime(2026, 1, 1, tzinfo=timezone.utc)


@cronlite.handler
def extract(params: dict[str, str]) -> int:
    return len(params)


cron.schedule("alice", {}, handlr="extract")  # wrong
cron.schedule("alice", {}, retries="many")  # wrong
cron.schedule("alice", {}, overlap="never")  # wrong
cron.schedule("alice", {}, catch_up=True)  # wrong
cron.schedule("alice", {}, on_crash="panic")  # wrong
cron.schedule("alice", {}, tz=2)  # wrong
cron.schedule("alice", {}, enabled="yes")  # wrong
cron.schedule("alice", {}, tags="a")  # wrong
cron.schedule("alice", [1])  # wrong
cron.schedule("alice", {}, minute=2.5)  # wrong
cron.schedule("alice", {}, day_of_week=1)  # wrong
cron.schedule("alice", {}, cron=5)  # wrong
cron.schedule(5)  # wrong
cron.update("nightly", retires=3)  # wrong
cron.update("nightly", hour=[2.5])  # wrong
cron.update(5, note="x")  # wrong
cron.enqueue("extract", {}, retires=3)  # wrong
cron.enqueue("extract", {}, eta=later)  # wrong
cron.enqueue("extract", {}, run_at="now")  # wrong
cron.enqueue("extract", {}, key=7)  # wrong
cron.enqueue(7)  # wrong
cron.enqueue("extract", {}, timeout_seconds="1m")  # wrong
cron.enqueue("extract", {}, priority="high")  # wrong
cron.enqueue("extract", {}, limit=3)  # wrong
cron.enqueue_many([{"params": {}}])  # wrong
cron.enqueue_many([{"handler": "extract", "retires": 3}])  # wrong
cron.enqueue_many("extract")  # wrong
cron.limits.set("smtp", "3")  # wrong
cron.limits.set(3, 3)  # wrong
cron.runs(user={"$ne": 1})  # wrong
cron.runs(since="yesterday")  # wrong
cron.runs(stat="failed")  # wrong
cron.schedules(tag=["a"])  # wrong
cron.run_of(7)  # wrong
cron.cancel(None)  # wrong
cron.get({"$ne": 1})  # wrong
cron.current_schedules("now")  # wrong
cron.enqueue("extract").wait("10")  # wrong
_ = cron.enqueue("extract").status  # wrong
cron.pause("nightly", actor=5)  # wrong
cron.update("nightly", actor={"name": "ann"}, note="x")  # wrong
cron.history.undo("nightly", 3)  # wrong
cron.history.of(None)  # wrong
_ = cron.history.latest(limit="all")  # wrong
_ = cron.history.removed()[0].actor.name  # wrong
cron.declare([{"cron": "@daily"}], owner="billing")  # wrong
cron.declare([{"name": "a", "retires": 3}], owner="billing")  # wrong
cron.declare([{"name": "a", "cron": "@daily"}])  # wrong
cron.declare({"name": "a"}, owner="billing")  # wrong
cron.many.update(["a"], retires=3)  # wrong
cron.many.pause("a", until="tomorrow")  # wrong
cron.many.remove(5)  # wrong
cron.start(seat=5)  # wrong
cron.run(seats="many")  # wrong
cronlite.Cronlite(uri=5)  # wrong
cronlite.schedule("alice", {}, handlr="extract")  # wrong
cronlite.schedule("alice", {}, retries="many")  # wrong
cronlite.enqueue("extract", {}, retires=3)  # wrong
cronlite.enqueue()  # wrong
cronlite.current_schedules("now")  # wrong
cronlite.Schedule(minutes=5)  # wrong
cronlite.Schedule(cron=5)  # wrong
cronlite.Schedule(hour=None)  # wrong
cronlite.Schedule(minute=5).matches("now")  # wrong
cronlite.Schedule(minute=5).changed(hours=3)  # wrong
cronlite.handler(isolation="container")  # wrong
cronlite.handler("n", cron=5)  # wrong
cronlite.handler("n", cron="@daily", retires=3)  # wrong
extract(5)  # wrong
