"""Which indexes does the SQLite store keep, and how must a query ask so that it is answered by one?"""

from __future__ import annotations

LAST_CHARACTER = "\U0010ffff"  # no text that begins with a prefix sorts behind the prefix and this

# What a missing field means. The due query asks for ifnull(column, default), and the index is on that: IN never finds
# NULL, and OR ... IS NULL would do without the index.
DUE_DEFAULTS: dict[str, int | str] = {
    "enabled": 1,
    "either_day": 0,
    "every": "",
    "tz": "UTC",
    "month": "*",
    "minute": "*",
    "hour": "*",
    "day": "*",
    "weekday": "*",
}
_IN_TIME = [name for name in DUE_DEFAULTS if name != "enabled"]
PAUSED_FOR_A_TIME = "paused_until IS NOT NULL"
EXPRESSIONS = ("tz", "every", "minute", "hour", "day", "month", "weekday")


def or_default(column: str) -> str:
    """Return the expression of a column, or its default where it is missing."""
    return f"ifnull({column}, {DUE_DEFAULTS[column]!r})"


# What lists are read by. Claims ask for handlers and states as well; the expressions keep SQLite from using these
# indexes for them.
LISTED = {
    "schedule": "schedule",
    "user": "user",
    "handler": "ifnull(handler, '')",
    "state": "ifnull(state, '')",
}
_QUEUED_LANE = "(lane, due_at, _id) WHERE state = 'queued' AND lane IS NOT NULL AND run_at IS"
INDEXES = {
    "schedules_name": "UNIQUE INDEX schedules_name ON schedules (name)",
    "schedules_due_every": f"INDEX schedules_due_every ON schedules ({', '.join(map(or_default, DUE_DEFAULTS))})",
    **{
        f"schedules_enabled_{name}": f"INDEX schedules_enabled_{name} ON schedules ({or_default('enabled')}, {name})"
        for name in EXPRESSIONS
    },
    # These are of the paused schedules whose pause has an end: from then on they may be due like enabled ones.
    "schedules_paused_due": "INDEX schedules_paused_due ON schedules"
    f" ({', '.join([*map(or_default, _IN_TIME), 'paused_until'])}) WHERE {PAUSED_FOR_A_TIME}",
    "schedules_paused_until": f"INDEX schedules_paused_until ON schedules (paused_until) WHERE {PAUSED_FOR_A_TIME}",
    **{
        f"schedules_paused_{name}": f"INDEX schedules_paused_{name} ON schedules ({name}) WHERE {PAUSED_FOR_A_TIME}"
        for name in EXPRESSIONS
    },
    # The two that keep promises: never over itself, and one queued run per key.
    "runs_lane": "UNIQUE INDEX runs_lane ON runs (lane) WHERE state = 'running' AND lane IS NOT NULL",
    "runs_key": "UNIQUE INDEX runs_key ON runs (key) WHERE state = 'queued' AND attempt = 0 AND key IS NOT NULL",
    "runs_waiting": f"INDEX runs_waiting ON runs {_QUEUED_LANE} NULL",
    "runs_ready": f"INDEX runs_ready ON runs {_QUEUED_LANE} NOT NULL",
    # Never more than a limit allows: each running run has a slot below it.
    "runs_slot": """UNIQUE INDEX runs_slot ON runs ("limit", slot) WHERE state = 'running' AND "limit" IS NOT NULL""",
    # The state is the same throughout each of these two; without it SQLite would look it up in the rows.
    "runs_claim_lots": "INDEX runs_claim_lots ON runs (lot, handler, run_at, _id, state) WHERE state = 'queued'",
    "runs_turns_lots": "INDEX runs_turns_lots ON runs (user, lot, handler, run_at, _id, state) WHERE state = 'queued'",
    "schedules_beginning": "INDEX schedules_beginning ON schedules (active_from)",
    "schedules_ending": "INDEX schedules_ending ON schedules (active_until) WHERE active_until IS NOT NULL",
    "schedules_user": "INDEX schedules_user ON schedules (user)",
    "runs_to_send": (
        """INDEX runs_to_send ON runs (sent_at, run_at, state) WHERE state = 'queued' AND "limit" IS NULL"""
    ),
    "runs_late": "INDEX runs_late ON runs (late_at, attempt, state) WHERE state = 'queued' AND late_at IS NOT NULL",
    "runs_daemon": "INDEX runs_daemon ON runs (daemon, handler, state) WHERE state = 'running'",
    "runs_expiry": "INDEX runs_expiry ON runs (expires_at) WHERE expires_at IS NOT NULL",
    # Lists show few of millions of runs, newest first. The list of all runs is merged from those of its states.
    "runs_state": f"INDEX runs_state ON runs ({LISTED['state']}, queued_at, _id)",
    "runs_handler": f"INDEX runs_handler ON runs ({LISTED['handler']}, queued_at, _id)",
    "runs_schedule": "INDEX runs_schedule ON runs (schedule, queued_at, _id)",
    "runs_user": "INDEX runs_user ON runs (user, queued_at, _id)",
    "schedules_owner": "INDEX schedules_owner ON schedules (owner) WHERE owner IS NOT NULL",
    "changes_schedule": "INDEX changes_schedule ON changes (schedule, at, _id)",
    "changes_kind": "INDEX changes_kind ON changes (kind, at, _id)",
    "changes_at": "INDEX changes_at ON changes (at, _id)",
    "changes_expiry": "INDEX changes_expiry ON changes (expires_at)",
    "alarms_cleared": "INDEX alarms_cleared ON alarms (cleared_at)",
    "runs_retries": "INDEX runs_retries ON runs (retry_of) WHERE retry_of IS NOT NULL",
    "runs_freeze": "INDEX runs_freeze ON runs (freeze, schedule, due_at) WHERE freeze IS NOT NULL",
    "runs_held": "INDEX runs_held ON runs (freeze) WHERE state = 'queued' AND freeze IS NOT NULL",
    "runs_backfill": "INDEX runs_backfill ON runs (backfill, state) WHERE backfill IS NOT NULL",
    "ticks_undone": "INDEX ticks_undone ON ticks (daemon) WHERE done_at IS NULL",
}
# Indexes of earlier versions. `schedules_due` is not among them: those versions name it in their queries.
OBSOLETE = ("runs_newest", "runs_claim", "runs_turns", "runs_unsent", *(f"schedules_{name}" for name in EXPRESSIONS))


def distinct(table: str, column: str, where: str = "true", first: str = "IS NOT NULL") -> str:
    """Return the query for the distinct values of a column, NULL left out; `first` says where they begin.

    It takes one look into the column's index for each value. SELECT DISTINCT reads every entry instead, unless somebody
    has run ANALYZE.
    """
    least = f"SELECT min({column}) FROM {table} WHERE {where} AND {column}"
    return (
        f"WITH RECURSIVE found(value) AS ({least} {first} UNION ALL"
        f" SELECT ({least} > found.value) FROM found WHERE found.value IS NOT NULL)"
        " SELECT value FROM found WHERE value IS NOT NULL"
    )
