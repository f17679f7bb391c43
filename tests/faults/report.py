"""Which faults were injected, how often, and what did the checker say? The table of a test run or of a soak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Row(NamedTuple):
    fault: str
    injected: str
    verdict: str


ROWS: list[Row] = []


def add(fault: str, injected: str, verdict: str) -> None:
    """Add a line to the table."""
    ROWS.append(Row(fault, injected, verdict))


def table(rows: Sequence[Row]) -> str:
    """Render the table as text."""
    head = Row("fault", "injected", "verdict")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in (0, 1)]
    lines = [f"{row.fault:<{widths[0]}}  {row.injected:<{widths[1]}}  {row.verdict.splitlines()[0]}" for row in rows]
    return "\n".join([f"{head.fault:<{widths[0]}}  {head.injected:<{widths[1]}}  {head.verdict}", *lines])
