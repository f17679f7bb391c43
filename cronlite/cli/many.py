"""How are the calls of a file queued, one a line, so that one that is refused stops no other?"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import click

from cronlite.cli import render
from cronlite.cli.streams import say
from cronlite.client.app import Cronlite
from cronlite.errors import Fault, InvalidInput, shown
from cronlite.store.grouping import batches

BATCH = 10_000
LONGEST_LINE = 16 * 1024 * 1024
_NAMED = 20
_INSTANTS = ("run_at", "deadline")


@dataclass
class Report:
    """What came of the lines: the ids of the runs, and of each line that was refused its number and why."""

    runs: list[str] = field(default_factory=list)
    refused: list[tuple[int, str]] = field(default_factory=list)
    fit: int = 0


def queue_lines(cron: Cronlite, path: str, defaults: Mapping[str, Any], *, dry_run: bool, as_json: bool) -> None:
    """Queue the call of each line of a file, or of stdin (`-`), and say what came of them; exit 1 if one is refused."""
    report = Report()
    with _opened(path) as lines:
        for batch in batches(_calls(lines, defaults, report), BATCH):
            queued = cron.enqueue_many([call for _, call in batch], dry_run=dry_run)
            report.runs += [handle.id for handle in queued.queued]
            report.refused += [(batch[refused.place][0], str(refused.error)) for refused in queued.refused]
            report.fit += len(batch) - len(queued.refused)
    report.refused.sort()
    if as_json:
        refused = [{"line": line, "reason": reason} for line, reason in report.refused]
        render.print_json({"queued": report.fit, "runs": report.runs, "refused": refused})
    else:
        say(f"would queue {report.fit}" if dry_run else f"queued {len(report.runs)}")
        for line, reason in report.refused[:_NAMED]:
            render.note(f"line {line}: {reason}", "error")
        if len(report.refused) > _NAMED:
            render.note(f"and {len(report.refused) - _NAMED} more were refused; --json lists them", "error")
    if report.refused:
        raise click.exceptions.Exit(1)


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        file = Path(path).open("rb")  # noqa: SIM115
    except OSError as missing:
        raise click.UsageError(f"cannot read {shown(path)}: {missing.strerror or missing}") from None
    with file:
        yield file


def _calls(lines: IO[bytes], defaults: Mapping[str, Any], report: Report) -> Iterator[tuple[int, Any]]:
    """Yield the call of each line with the line's number; what is none is told."""
    number = 0
    while line := lines.readline(LONGEST_LINE):
        number += 1
        if not line.strip():
            continue
        try:
            yield number, {**defaults, **_call(line)}
        except InvalidInput as refused:
            report.refused.append((number, str(refused)))


def _call(line: bytes) -> dict[str, Any]:
    try:
        call = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError) as wrong:
        reason = str(wrong).partition("; use sys.set_int")[0] if isinstance(wrong, json.JSONDecodeError) else "it"
        raise InvalidInput(
            Fault("call", line[:60], f"is no JSON: {reason}", 'give {"handler": …, "params": …}')
        ) from None
    if not isinstance(call, dict):
        raise InvalidInput(Fault("call", call, "is no object", 'give {"handler": …, "params": …}'))
    return {name: _instant(name, value) if name in _INSTANTS else value for name, value in call.items()}


def _instant(name: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError:
        remedy = "give ISO 8601 with a zone, such as 2026-11-21T02:30:00Z"
        raise InvalidInput(Fault(name, value, "is no instant", remedy)) from None
