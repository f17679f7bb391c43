"""What is broken, and which tests of the short suite are to notice?"""

from __future__ import annotations

from typing import NamedTuple


class Sabotage(NamedTuple):
    """A line of the core that is made wrong: its text, of which the file has just one, and what it becomes."""

    promise: str
    file: str
    right: str
    wrong: str
    tests: str


CLOCK, TABLE, PATTERN, FIELDS = "when/clock.py", "when/timetable.py", "when/pattern.py", "when/fields.py"
LEDGER, RUNS = "documents/ticks.py", "documents/runs.py"
NEW_RUNS, TRANSITIONS = "documents/new_runs.py", "documents/transitions.py"
IN_SQLITE, SQLITE_TICKS = "store/sqlite/runs.py", "store/sqlite/ticks.py"
SQLITE_DAEMONS, SQLITE_LANES = "store/sqlite/daemons.py", "store/sqlite/lanes.py"
IN_MONGO, MONGO_CHANGES, MONGO_TICKS = "store/mongo/runs.py", "store/mongo/run_changes.py", "store/mongo/ticks.py"
MONGO_DAEMONS, MONGO_LANES = "store/mongo/daemons.py", "store/mongo/lanes.py"
LIVENESS, CLAIMS, TICKING = "daemon/liveness.py", "daemon/claims.py", "daemon/ticking.py"
ROOM, EARLY = "daemon/room.py", "daemon/early.py"
HISTORY, SQLITE_HISTORY, MONGO_HISTORY = "documents/history.py", "store/sqlite/changes.py", "store/mongo/changes.py"
ASKED_FOR, LIMITS = "client/runs.py", "documents/limits.py"

LIVE, AHEAD = "daemon/live.py", "client/ahead.py"

WHEN, DOCUMENTS = "tests/when", "tests/documents"
CONTRACT = " ".join(f"tests/store/test_contract{part}.py" for part in ("", "_runs", "_outcomes", "_ticks"))
ON_SQLITE, ON_MONGODB = f"{CONTRACT} -k sqlite", f"{CONTRACT} -k mongod"
IN_DAEMONS = " ".join(f"tests/daemon/test_{part}.py" for part in ("claims", "early", "liveness", "ticking"))
RULES = f"{DOCUMENTS} {IN_DAEMONS}"
WITH_DAEMONS = f"{IN_DAEMONS} tests/daemon/test_daemons.py -k 'not mongod'"
OF_LIMITS = "tests/store/test_contract_limits.py tests/daemon/test_limits.py -k 'not mongod and not mongomock'"
OF_DURATIONS = "tests/daemon/test_durations.py"
OF_STACKS = "tests/dispatch/test_stacks.py"
OF_HISTORY = "tests/client/test_history.py tests/client/test_bulk.py"
OF_FIGURES = "tests/metrics tests/hostile/test_a_name_that_is_a_series.py -k 'not mongod and not prometheus'"
OF_OUTPUT, CHARTS = "tests/daemon/test_live.py -k 'not mongod'", "tests/web/test_charts.py"
FOR_CLIENTS = "tests/hostile/test_a_name_that_is_anothers.py tests/daemon/test_daemons.py -k 'not mongod'"

_TIME = [
    Sabotage("a daemon wakes a second after the minute", CLOCK, "timedelta(seconds=1)", "timedelta(seconds=0)", WHEN),
    Sabotage("the next wake is later than now", CLOCK, "if now < wake", "if now <= wake", WHEN),
    Sabotage(
        "a minute is known to repeat", CLOCK, "repeated = _NOTHING < put_back", "repeated = put_back < _NOTHING", WHEN
    ),
    Sabotage("all of a skipped stretch is made up for", CLOCK, "jumped // MINUTE + 1)", "jumped // MINUTE)", WHEN),
    Sabotage("a jump of a day makes nothing up", CLOCK, "timedelta(hours=3)", "timedelta(hours=30)", WHEN),
    Sabotage("fixed times run once in a repeated hour", TABLE, "if not now.repeated and table", "if table", WHEN),
    Sabotage(
        "a skipped time runs after the jump", TABLE, "any(map(table.pattern.matches, now.skipped))", "False", WHEN
    ),
    Sabotage("a wildcard follows the clock", TABLE, "if table.pattern.follows_clock:", "if False:", WHEN),
    Sabotage("an hour of * makes a wildcard", PATTERN, " or self.hour.starts_with_star", "", WHEN),
    Sabotage("either day is enough", PATTERN, "matches(day) or self.weekday", "matches(day) and self.weekday", WHEN),
    Sabotage("*/2 in a day field means both", PATTERN, 'not words[2].startswith("*")', "True", WHEN),
    Sabotage("7 is Sunday", FIELDS, "(values | values >> 7)", "values", WHEN),
    Sabotage("fri#2 is the second Friday", FIELDS, "(day.day + 6) // 7", "(day.day + 7) // 7", WHEN),
    Sabotage("5L is the last Friday", FIELDS, "if day.day + 7 > length", "if day.day + 7 >= length", WHEN),
    Sabotage("a range has its end", FIELDS, "range(low, high + 1, step)", "range(low, high, step)", WHEN),
    Sabotage("LW is no Saturday", FIELDS, ".isoweekday() - 5)", ".isoweekday() - 6)", WHEN),
]

_LEDGER = [
    Sabotage(
        "the grace begins after now - grace",
        LEDGER,
        "floor_minute(now - grace) + MINUTE",
        "floor_minute(now - grace)",
        DOCUMENTS,
    ),
    Sabotage(
        "a gap is accounted for to its end",
        LEDGER,
        "max(cursor, entry.last + MINUTE)",
        "max(cursor, entry.first + MINUTE)",
        DOCUMENTS,
    ),
    Sabotage(
        "what is undone is left to do", LEDGER, "known if entry.done_at is None]", "known if entry.done_at]", DOCUMENTS
    ),
    Sabotage("entries in the future are ignored", LEDGER, "if entry.last <= newest)", "if True)", DOCUMENTS),
    Sabotage(
        "an empty ledger has no gap",
        LEDGER,
        "known[0].first if known else oldest",
        "known[0].first if known else oldest - MINUTE",
        DOCUMENTS,
    ),
    Sabotage(
        "a done tick is not taken over (SQLite)",
        SQLITE_TICKS,
        " AND daemon = ? AND done_at IS NULL",
        " AND daemon = ?",
        ON_SQLITE,
    ),
    Sabotage(
        "a tick is finished by its owner (SQLite)",
        SQLITE_TICKS,
        'WHERE minute = ? AND daemon = ?",',
        'WHERE minute = ? AND ? IS NOT NULL",',
        ON_SQLITE,
    ),
    Sabotage(
        "the newest tick is kept (SQLite)",
        SQLITE_TICKS,
        '(SELECT max(minute) FROM ticks WHERE minute < ?)",',
        '?",',
        ON_SQLITE,
    ),
    Sabotage(
        "a done tick is not taken over (MongoDB)",
        MONGO_TICKS,
        '"daemon": tick.daemon, "done_at": None}',
        '"daemon": tick.daemon}',
        ON_MONGODB,
    ),
    Sabotage(
        "a tick is finished by its owner (MongoDB)",
        MONGO_TICKS,
        'owned = {"_id": tick.minute, "daemon": tick.daemon}',
        'owned = {"_id": tick.minute}',
        ON_MONGODB,
    ),
    Sabotage(
        "a pause with an end lifts itself",
        "documents/schedules.py",
        "or instant < self.paused_until)",
        "or True)",
        "tests/client/test_pauses.py",
    ),
    Sabotage(
        "what a freeze holds back is not run",
        "documents/freezes.py",
        "return self.from_at <= instant and",
        "return False and",
        "tests/client/test_freezes.py",
    ),
    Sabotage(
        "what made up for a freeze is not queued again",
        "daemon/thaws.py",
        "run.state != runs.SKIPPED or",
        "run.state == runs.QUEUED or",
        "tests/client/test_freezes.py",
    ),
    Sabotage(
        "a backfill leaves out what ran",
        "client/backfills.py",
        "if id_ not in known or",
        "if True or",
        "tests/client/test_backfills.py",
    ),
    Sabotage("a done minute is not done again", TICKING, "if entry.done_at is not None:", "if False:", IN_DAEMONS),
    Sabotage(
        "a live daemon's tick is left to it",
        TICKING,
        "if entry.daemon != me and not self.is_dead(entry.daemon):",
        "if False:",
        IN_DAEMONS,
    ),
    Sabotage(
        "a clock set back finds its grace",
        TICKING,
        "since = min(since, now - self.periods.grace)",
        "since = max(since, now - self.periods.grace)",
        IN_DAEMONS,
    ),
]

_POLICIES = [
    Sabotage("catch_up latest makes up for one", TICKING, '"latest": 1', '"latest": 2', IN_DAEMONS),
    Sabotage("catch_up skip makes up for none", TICKING, '{"skip": 0', '{"skip": 1', IN_DAEMONS),
    Sabotage(
        "overlap skip skips", TICKING, 'if run.overlap == "skip" and', 'if run.overlap == "allow" and', IN_DAEMONS
    ),
    Sabotage("late runs wait, and skip nobody", TICKING, " and not run.late and not last.late", "", IN_DAEMONS),
    Sabotage(
        "overlap allow has no lane",
        NEW_RUNS,
        'None if schedule.overlap == "allow" else schedule.id',
        "schedule.id",
        WITH_DAEMONS,
    ),
    Sabotage(
        "a schedule's runs have its lane",
        NEW_RUNS,
        'None if schedule.overlap == "allow" else schedule.id',
        "None",
        WITH_DAEMONS,
    ),
    Sabotage(
        "a run's id names its minute",
        NEW_RUNS,
        "{tick:%Y-%m-%dT%H:%MZ}",
        "{tick:%Y-%m-%dT%HZ}",
        RULES,
    ),
    Sabotage(
        "as many retries as asked for",
        TRANSITIONS,
        "failures > run.retries",
        "failures >= run.retries",
        RULES,
    ),
    Sabotage("the first retry waits the delay", TRANSITIONS, "min(failures - 1, 40)", "min(failures, 40)", DOCUMENTS),
    Sabotage("three crashes are enough", RUNS, "MAX_CRASHES = 3", "MAX_CRASHES = 4", RULES),
    Sabotage(
        "on_crash abandon abandons",
        TRANSITIONS,
        """    crashes = run.crashes + 1
    if run.on_crash == "abandon":""",
        """    crashes = run.crashes + 1
    if False:""",
        RULES,
    ),
    Sabotage(
        "a deadline counts until the first start",
        TRANSITIONS,
        " or run.failures or run.crashes",
        "",
        RULES,
    ),
    Sabotage("runs are kept for 30 days", TRANSITIONS, "timedelta(days=30)", "timedelta(days=3)", RULES),
    Sabotage(
        "a hard stop abandons what may not run twice",
        TRANSITIONS,
        """    if run.on_crash == "abandon":
        return closed(ABANDONED, now, reason=f"{why}""",
        """    if False:
        return closed(ABANDONED, now, reason=f"{why}""",
        RULES,
    ),
]

_FENCES = [
    Sabotage("a claim raises the attempt", TRANSITIONS, "now, run.attempt + 1", "now, run.attempt", ON_SQLITE),
    Sabotage(
        "what goes back has no daemon",
        TRANSITIONS,
        '"run_at": run_at, "daemon": None',
        '"run_at": run_at',
        RULES,
    ),
    Sabotage(
        "the fence has the state (SQLite)",
        IN_SQLITE,
        "AND state = ? AND daemon IS ? AND attempt = ?",
        "AND ? != '' AND daemon IS ? AND attempt = ?",
        ON_SQLITE,
    ),
    Sabotage(
        "the fence has the daemon (SQLite)",
        IN_SQLITE,
        "AND state = ? AND daemon IS ? AND attempt = ?",
        "AND state = ? AND ifnull(?, 1) != '' AND attempt = ?",
        ON_SQLITE,
    ),
    Sabotage(
        "the fence has the attempt (SQLite)",
        IN_SQLITE,
        "AND state = ? AND daemon IS ? AND attempt = ?",
        "AND state = ? AND daemon IS ? AND ? >= 0",
        ON_SQLITE,
    ),
    Sabotage("there is a fence (MongoDB)", MONGO_CHANGES, '{"_id": ids, **change.fence}', '{"_id": ids}', ON_MONGODB),
    Sabotage(
        "there is a fence where runs end each in its own way (MongoDB)",
        MONGO_CHANGES,
        '{"_id": {"$in": ids}, **singly[0].fence}',
        '{"_id": {"$in": ids}}',
        ON_MONGODB,
    ),
    Sabotage(
        "each run gets its own end (MongoDB)",
        MONGO_CHANGES,
        '{"$indexOfArray": [{"$literal": ids}, "$_id"]}',
        "0",
        ON_MONGODB,
    ),
    Sabotage(
        "what a handler returns is no expression (MongoDB)",
        MONGO_CHANGES,
        '{"$literal": [each.get("$set", {}) for each in updates]}',
        '[each.get("$set", {}) for each in updates]',
        ON_MONGODB,
    ),
    Sabotage(
        "only runs that lose the same fields are changed together (MongoDB)",
        MONGO_CHANGES,
        "(repr(change.fence), *removed)",
        "(repr(change.fence),)",
        ON_MONGODB,
    ),
    Sabotage(
        "only runs of the same state and attempt are changed together (MongoDB)",
        MONGO_CHANGES,
        "(repr(change.fence), *removed)",
        "(*removed,)",
        ON_MONGODB,
    ),
    Sabotage(
        "the fence has the attempt (MongoDB)",
        RUNS,
        '"daemon": run.daemon, "attempt": run.attempt}',
        '"daemon": run.daemon, "attempt": {"$gte": 0}}',
        ON_MONGODB,
    ),
    Sabotage(
        "only what is queued is claimed (MongoDB)",
        IN_MONGO,
        'return {"state": QUEUED, "attempt"',
        'return {"attempt"',
        ON_MONGODB,
    ),
    Sabotage(
        "who lost a race claims nothing (MongoDB)",
        IN_MONGO,
        "won = wanted if matched == len(wanted) else self._holding(token, wanted)",
        "won = wanted",
        ON_MONGODB,
    ),
    Sabotage(
        "of a lane one is claimed (MongoDB)",
        IN_MONGO,
        "if run.lane is not None and run.lane in lanes:",
        "if False:",
        "tests/store/test_mongo.py -k lane",
    ),
    Sabotage(
        "what is not due is not claimed (SQLite)",
        "store/sqlite/lots.py",
        "handler = ? AND run_at <= ?{{}} ORDER BY run_at, _id",
        "handler = ? AND ? > 0{{}} ORDER BY run_at, _id",
        ON_SQLITE,
    ),
    Sabotage(
        "a waiting retry holds no key (SQLite)",
        IN_SQLITE,
        "state = 'queued' AND attempt = 0 AND key = ?",
        "state = 'queued' AND key = ?",
        ON_SQLITE,
    ),
    Sabotage(
        "a lane at work is not released (SQLite)",
        SQLITE_LANES,
        "WHERE NOT EXISTS ({_RUNNING_IN}) AND",
        "WHERE",
        ON_SQLITE,
    ),
    Sabotage("a lane at work is not released (MongoDB)", MONGO_LANES, "if lane not in busy", "if True", ON_MONGODB),
    Sabotage(
        "a key is its user's",
        ASKED_FOR,
        "(holder.user, holder.handler) != (run.user, run.handler)",
        "False",
        FOR_CLIENTS,
    ),
    Sabotage(
        "only a queued run is cancelled",
        ASKED_FOR,
        "if run.state != runs.QUEUED or opened.store",
        "if opened.store",
        FOR_CLIENTS,
    ),
    Sabotage("a schedule at work is not triggered", ASKED_FOR, 'if run.overlap == "skip":', "if False:", FOR_CLIENTS),
]

_LEASES = [
    Sabotage(
        "a lease ends before the silence",
        LIVENESS,
        "LEASE_PER_SILENCE = 5 / 6",
        "LEASE_PER_SILENCE = 7 / 6",
        IN_DAEMONS,
    ),
    Sabotage(
        "a lease counts from before the beat", LIVENESS, "self._beaten = sent", "self._beaten = steady()", IN_DAEMONS
    ),
    Sabotage("who was away watches anew", LIVENESS, "self._seen.clear()", "pass", IN_DAEMONS),
    Sabotage("a daemon does not watch itself", LIVENESS, "beats.pop(me, None)", "pass", IN_DAEMONS),
    Sabotage(
        "a dead daemon's beat counts no more (SQLite)",
        SQLITE_DAEMONS,
        'beat = beat + 1 WHERE _id = ? AND dead_at IS NULL"',
        'beat = beat + 1 WHERE _id = ?"',
        ON_SQLITE,
    ),
    Sabotage(
        "who beat is not marked dead (SQLite)",
        SQLITE_DAEMONS,
        "AND beat = ? AND dead_at IS NULL",
        "AND beat >= 0 * ? AND dead_at IS NULL",
        ON_SQLITE,
    ),
    Sabotage(
        "who beat is not marked dead (MongoDB)",
        MONGO_DAEMONS,
        '{"_id": id, "beat": beat, "dead_at": None}',
        '{"_id": id, "dead_at": None}',
        ON_MONGODB,
    ),
    Sabotage(
        "no handler starts without a lease",
        CLAIMS,
        "if run.daemon != self._membership.id or not self._membership.holds_lease():",
        "if run.daemon != self._membership.id:",
        WITH_DAEMONS,
    ),
    Sabotage(
        "a run of the former name is not started",
        CLAIMS,
        "if run.daemon != self._membership.id or not",
        "if not",
        WITH_DAEMONS,
    ),
    Sabotage(
        "still_mine looks at the fence",
        CLAIMS,
        'runs.fence(stored) == {**runs.fence(run), "state": runs.RUNNING}',
        "bool(stored)",
        WITH_DAEMONS,
    ),
    Sabotage(
        "an unanswered claim is given back", CLAIMS, "if (run.id, run.attempt) not in held]", "if False]", WITH_DAEMONS
    ),
    Sabotage("one suspect at a time", CLAIMS, "claimed if run.one_crash_left]", "claimed if not run]", WITH_DAEMONS),
    Sabotage(
        "what ran before tells how long it takes", "daemon/durations.py", "if took:", "if not took:", OF_DURATIONS
    ),
    Sabotage(
        "nothing is collected while frames are looked at", "dispatch/stacks.py", "gc.disable()", "pass", OF_STACKS
    ),
    Sabotage("what was written early is begun", TICKING, "self.inserts.early.begin(now)", "pass", IN_DAEMONS),
    Sabotage("what is early judges no busy lane", EARLY, "if run.lane not in busy", "if run", IN_DAEMONS),
    Sabotage("early runs wait for their minute", EARLY, "if kept and kept[0].due_at > now:", "if not now:", IN_DAEMONS),
    Sabotage("early runs stop with their daemon", CLAIMS, "self.give_back(claimed)", "pass", IN_DAEMONS),
    Sabotage("what may not wait gets a seat first", ROOM, "if place >= self._free:", "if False:", WITH_DAEMONS),
    Sabotage("ends wait for all of a tick", ROOM, "return self._ticks > 0", "return False", IN_DAEMONS),
    Sabotage("a flood is over when all of it is recorded", CLAIMS, " or self.outcomes.unrecorded)", ")", IN_DAEMONS),
    Sabotage(
        "after a flood others are heard again", CLAIMS, "self.is_flooded = False\n        return", "return", IN_DAEMONS
    ),
]

_ENDS = [
    Sabotage(
        "a stop waits until coroutines have ended",
        "dispatch/pool.py",
        "all(call.cut is None for call in self._seated())",
        "True",
        "tests/daemon/test_hard_stop.py",
    ),
    Sabotage(
        "a blocked loop is told",
        "dispatch/limits.py",
        "map(_blocked_by, self._loops.blocked)",
        "map(_blocked_by, ())",
        "tests/dispatch/test_blocked_loop.py",
    ),
    Sabotage(
        "a run is settled once",
        "dispatch/calls.py",
        "return self._settling.acquire(blocking=False)",
        "return self._settling.acquire(blocking=False) or True",
        "tests/dispatch/test_blocked_loop.py tests/dispatch/test_pool.py",
    ),
]

_LIMITS = [
    Sabotage("no more at work than the limit", LIMITS, "max(0, most - len(taken))", "most", OF_LIMITS),
    Sabotage("all daemons want the first free slot", LIMITS, "in range(most)", "in range(most)[::-1]", OF_LIMITS),
    Sabotage("the higher priority comes first", LIMITS, "return run_at - _STEP", "return run_at + _STEP", OF_LIMITS),
    Sabotage("a run takes a slot", "store/sqlite/lots.py", "self.slots[candidate.rowid] = slot", "pass", OF_LIMITS),
    Sabotage(
        "a run takes a slot in MongoDB",
        "store/mongo/lots.py",
        'taken[document["_id"]] = slot',
        "pass",
        "tests/store/test_contract_limits.py -k mongod",
    ),
    Sabotage("a tick's runs wait for their limit", CLAIMS, "and run.lot is None", "and True", OF_LIMITS),
]

_HISTORY = [
    Sabotage(
        "a change is of the schedule that was read (SQLite)",
        SQLITE_HISTORY,
        "{SCHEDULES.update(document)} WHERE _id = ? AND updated_at IS ?",
        "{SCHEDULES.update(document)} WHERE _id = ? AND ? IS NOT 5",
        OF_HISTORY,
    ),
    Sabotage(
        "a change is of the schedule that was read (MongoDB)",
        MONGO_HISTORY,
        '"updated_at": {"$eq": write.found_at}',
        '"updated_at": {"$ne": 5}',
        OF_HISTORY,
    ),
    Sabotage(
        "what was lost to others leaves no change", MONGO_HISTORY, "        if lost:", "        if False:", OF_HISTORY
    ),
    Sabotage(
        "a change that never came is not shown",
        HISTORY,
        '    return change.kind == "removed" or is_as_found or any(',
        "    return any(",
        "tests/documents/test_history.py",
    ),
    Sabotage(
        "what somebody else changed is seen", HISTORY, "        if there != left:", "        if False:", OF_HISTORY
    ),
    Sabotage(
        "removals of one instant are all listed", SQLITE_HISTORY, "(at, _id) < (?, ?)", "at < ? AND ? > ''", OF_HISTORY
    ),
    Sabotage(
        "what is undone counts from now on",
        "client/history.py",
        'return {**fields, "active_from": max(now, active_from) if isinstance(active_from, datetime) else now}',
        "return fields",
        OF_HISTORY,
    ),
    Sabotage(
        "an owner's schedule is nobody else's",
        "plans/comparing.py",
        'if there.get("owner") != owner and not adopt:',
        "if False:",
        "tests/client/test_plans.py",
    ),
]

_FIGURES = [
    Sabotage(
        "the end of each run is counted",
        "daemon/outcomes.py",
        'closed(run, change["state"])',
        "closed(run, '')",
        OF_FIGURES,
    ),
    Sabotage("minutes missed are counted", TICKING, "elif entry.is_gap:", "elif False:", OF_FIGURES),
    Sabotage("a lost lease is counted", LIVENESS, "self.figures.lease_lost()", "pass", OF_FIGURES),
    Sabotage(
        "the store's failures are counted", "daemon/rounds.py", "self._figures.store_failed()", "pass", OF_FIGURES
    ),
    Sabotage(
        "a first failure is a rise", "metrics/counts.py", "self.runs.setdefault((label, state), 0)", "pass", OF_FIGURES
    ),
    Sabotage(
        "handlers that nobody has are one series",
        "metrics/counts.py",
        "if self._registry.get(name) else OTHER",
        "",
        OF_FIGURES,
    ),
    Sabotage(
        "a scrape waits no longer than a second",
        "metrics/asked.py",
        "max(0.0, question.asked_at + WAIT_SECONDS - asked_at)",
        "60",
        OF_FIGURES,
    ),
    Sabotage("one question at a time", "metrics/asked.py", "self._question or self._begun", "self._begun", OF_FIGURES),
    Sabotage("the caller's trace is kept", ASKED_FOR, "        traceparent=tracing.current(),\n", "", "tests/tracing"),
    Sabotage(
        "a later attempt is linked",
        "dispatch/tracing.py",
        "run.attempt > 1 else ()",
        "run.attempt > 9 else ()",
        "tests/tracing",
    ),
    Sabotage(
        "somebody's text is no trace", RUNS, "traceparent.readable(run.traceparent)", "run.traceparent", "tests/tracing"
    ),
]

_SIGHT = [
    Sabotage("a run that has just begun is not asked about", LIVE, "run.started_at <= begun", "True", OF_OUTPUT),
    Sabotage(
        "what is stored already is not written again",
        LIVE,
        "if (id, attempt) not in self._stored or self._stored[id, attempt] != text",
        "if True",
        OF_OUTPUT,
    ),
    Sabotage(
        "what an attempt before printed is not this one's",
        RUNS,
        "return self.output if self.output_attempt == self.attempt else None",
        "return self.output",
        "tests/store/test_contract_live.py -k 'not mongod'",
    ),
    Sabotage("what repeats is counted once", AHEAD, "0 if now.repeated else", "", "tests/client/test_ahead.py"),
    Sabotage("a skipped stretch is made up for", AHEAD, "if now.skipped:", "if False:", "tests/client/test_ahead.py"),
    Sabotage("what has ended is not due", AHEAD, "*_less(idle)", "", "tests/client/test_ahead.py"),
    Sabotage("a failure of many runs is seen", "web/charts/strip.py", "max(_LEAST, counts", "max(0, counts", CHARTS),
    Sabotage("p95 is the 95th of a hundred", "web/charts/durations.py", "percentile(seconds, 95))\n", "0.0)\n", CHARTS),
    Sabotage("a square stands on its own clock", "web/charts/calendar.py", "shown.hour * 60", "0", CHARTS),
]

ACTS = [*_TIME, *_LEDGER, *_POLICIES, *_FENCES, *_LEASES, *_ENDS, *_LIMITS, *_HISTORY, *_FIGURES, *_SIGHT]
