"""Which changes happened, by the schedule as it is, whatever was announced and never came?"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from cronlite.documents.changes import Actor, Change, of_write
from cronlite.documents.history import happened
from cronlite.documents.schedules import Document

ANN, BOB = Actor("ann"), Actor("bob")
NOW = datetime(2026, 11, 29, 12, tzinfo=timezone.utc)


def document(second: int, **fields: object) -> Document:
    return {"_id": "s", "minute": 5, "updated_at": NOW + timedelta(seconds=second), **fields}


def a_change(before: Document | None, after: Document | None, actor: Actor = ANN) -> Change:
    at = after["updated_at"] if after else (before or {})["updated_at"] + timedelta(seconds=1)
    return of_write(actor, at, before, after)


FIRST, SECOND, THIRD = document(0), document(1, hour=2), document(2, hour=3)
ADDED, EDITED, AGAIN = a_change(None, FIRST), a_change(FIRST, SECOND), a_change(SECOND, THIRD)
LOST = a_change(FIRST, document(3, hour=9), BOB)  # announced, and somebody was faster
REMOVAL = a_change(SECOND, None, BOB)


@pytest.mark.parametrize(
    ("changes", "there", "expected"),
    [
        ([EDITED, ADDED], SECOND, [EDITED, ADDED]),
        ([LOST, AGAIN, EDITED, ADDED], THIRD, [AGAIN, EDITED, ADDED]),
        ([AGAIN, LOST, EDITED, ADDED], THIRD, [AGAIN, EDITED, ADDED]),
        ([REMOVAL, EDITED, ADDED], SECOND, [EDITED, ADDED]),
        ([AGAIN, REMOVAL, EDITED, ADDED], THIRD, [AGAIN, EDITED, ADDED]),
        ([REMOVAL], SECOND, []),  # of a schedule that somebody else has made
        ([LOST], FIRST, []),
        (
            [a_change({"_id": "f", "minute": 5}, {"_id": "f", "minute": 6, "updated_at": NOW})],
            {"_id": "f", "minute": 5},
            [],
        ),
        ([a_change(None, FIRST)], None, "uncertain"),
        ([REMOVAL, EDITED, ADDED], None, "uncertain"),
    ],
)
def test_only_what_leads_to_the_schedule_as_it_is_happened(
    changes: list[Change], there: Document | None, expected: list[Change] | str
) -> None:
    found = happened(changes, there)
    if expected == "uncertain":
        assert ([one.id for one in found], found[0].certain) == ([one.id for one in changes], False)
    else:
        assert found == expected
