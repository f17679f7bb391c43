"""How do log records look: text for people, JSON for machines, priorities for the journal?"""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Literal, TextIO, get_args

from cronlite.errors import Fault, InvalidInput, suggestion, visible
from cronlite.handlers.output import RunFields, leads_to_journal

if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler  # takes no subscript before Python 3.11

Format = Literal["text", "json"]
# Attributes of a record, each with its name in the log; `process` is taken by logging for the pid.
_FIELDS = {"process_number": "process", "run": "run", "schedule": "schedule", "attempt": "attempt"}


def configure(
    format: Format = "text",
    stream: TextIO | None = None,
    journal: bool | None = None,
    *,
    level: int = logging.INFO,
    process: int | None = None,
) -> logging.Handler:
    """Log everything of `level` and above on a stream (default: stderr), once per process; return the handler.

    JSON is one object a line: time, level, logger, message, in a run also run, schedule and attempt, and exception; of
    one of several processes also process, its number. For the journal, lines carry a priority (sd-daemon(3)) and, in
    text, no time; whether the stream leads there is found out unless said. Raises InvalidInput for a format that does
    not exist.
    """
    if format not in get_args(Format):
        raise InvalidInput(Fault("format", format, "is no log format", suggestion(str(format), get_args(Format))))
    stream = stream or sys.stderr
    journal = leads_to_journal(stream) if journal is None else journal
    formatter: logging.Formatter = _Json() if format == "json" else _Text(timed=not journal)
    handler = _Lines(stream)
    handler.setFormatter(_Prioritized(formatter) if journal else formatter)
    handler.addFilter(RunFields())
    if process is not None:
        handler.addFilter(_Process(process))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Lines)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    return handler


class _Lines(_StreamHandler):
    """The handler that `configure` installs, and replaces when it is called again."""


class _Process(logging.Filter):
    """Puts the number of this process on every record."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def filter(self, record: logging.LogRecord) -> bool:
        record.process_number = self._number
        return True


class _Text(logging.Formatter):
    def __init__(self, *, timed: bool) -> None:
        super().__init__(f"{'%(asctime)s ' if timed else ''}%(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%SZ")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        return super().formatMessage(record) + fields

    def format(self, record: logging.LogRecord) -> str:
        # Indented, so that the rest of a message cannot pass for a line of its own.
        return visible(super().format(record)).replace("\n", "\n    ")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        made = datetime.fromtimestamp(record.created, timezone.utc)
        line: dict[str, object] = {
            "time": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        known = {name: getattr(record, name, None) for name in _FIELDS}
        line |= {name: value for name, value in known.items() if value is not None}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        elif record.exc_text:
            line["exception"] = record.exc_text
        return json.dumps(line, default=str).replace("\x7f", "\\u007f")  # the one control character that JSON leaves


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for key, name in _FIELDS.items() if (value := getattr(record, key, None)) is not None}


class _Prioritized(logging.Formatter):
    """Another formatter's lines, each with its priority: the journal takes every line for a record of its own."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in self._inner.format(record).split("\n"))


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (-(2**31), 7))
