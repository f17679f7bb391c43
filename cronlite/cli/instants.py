"""Which instant is meant by what somebody types: `22:00`, `yesterday`, `tomorrow 08:00`, `2h`, or a whole date?

One without a zone is on the clock of this machine (or of $TZ), as in a crontab, unless the command is about one
schedule, which has a clock of its own.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from cronlite.cli import render
from cronlite.cli.parameters import ParamType
from cronlite.wording.spoken import Spoken as Spoken
from cronlite.wording.spoken import placed as placed
from cronlite.wording.spoken import spoken


class Instant(ParamType):
    """What somebody types for an instant, as a Spoken; with `spans`, a length of time such as `2h` as well."""

    name = "instant"

    def __init__(self, *, spans: bool = False) -> None:
        self._spans = spans

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Spoken:
        if isinstance(value, Spoken):
            return value
        try:
            return spoken(value, spans=self._spans)
        except ValueError as refused:
            return self.fail(str(refused), param, ctx)


def tell_clock(**typed: tuple[Spoken | None, datetime | None]) -> None:
    """Say on stderr which instants were meant, where this machine's clock decided that and is not on UTC."""
    readings = []
    for option, (typed_as, instant) in typed.items():
        if (
            typed_as is not None
            and typed_as.is_local
            and instant is not None
            and (local := instant.astimezone()).utcoffset()
        ):
            readings.append(f"{option} {local:%a %Y-%m-%d %H:%M %Z} ({render.clock_time(instant, instant)})")
    if readings:
        render.note(f"{', '.join(readings)}, on this machine's clock")
