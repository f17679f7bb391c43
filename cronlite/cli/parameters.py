"""How is what somebody types read: durations, params, and the names that a shell completes?"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from cronlite.errors import shown
from cronlite.wording.spoken import duration

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # takes no subscript before click 8.4

C = TypeVar("C", bound=Callable[..., Any])

NO_DURATION = "none"
LARGEST_FILE = 32 * 1024 * 1024


class Duration(ParamType):
    """A length of time such as `90`, `90s`, `10m`, `1h30m` or `3d`, as a timedelta; `none` where that is allowed."""

    name = "duration"

    def __init__(self, *, none: bool = False) -> None:
        self._none = none

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, timedelta) or (self._none and value == NO_DURATION):
            return value
        try:
            return duration(value, either=" or none" if self._none else "")
        except ValueError as refused:
            return self.fail(str(refused), param, ctx)


def seconds(length: timedelta | str) -> float | None:
    """Return a Duration in seconds, and None for `none`."""
    return length.total_seconds() if isinstance(length, timedelta) else None


def late_after(*, show_envvar: bool = False) -> Callable[[C], C]:
    """Return the option of the commands that notice what is overdue."""
    return click.option(
        "--late-after",
        type=Duration(none=True),
        default=NO_DURATION,
        show_default=True,
        show_envvar=show_envvar,
        help="How long after it is due a run has to begin, of schedules that do not say so.",
    )


class Params(ParamType):
    """A JSON object: as it is, in a file (`@FILE`), or on stdin (`-`)."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, dict):
            return value
        try:
            parsed = json.loads(_text_of(value))
        except OSError as missing:
            self.fail(f"cannot read {shown(value[1:])}: {missing.strerror or missing}", param, ctx)
        except UnicodeError:
            self.fail(f"{shown(value)} is no UTF-8 text", param, ctx)
        except RecursionError:
            self.fail("it is nested too deeply; flatten it", param, ctx)
        except ValueError as refused:
            reason = str(refused).partition("; use sys.set_int")[0]
            self.fail(f"{shown(value)} is no JSON: {reason}; give an object such as {_EXAMPLE}", param, ctx)
        if not isinstance(parsed, dict):
            self.fail(f"{shown(parsed)} is no object; give one such as {_EXAMPLE}", param, ctx)
        return parsed


_EXAMPLE = '\'{"dataset": "sales"}\''


def _text_of(value: str) -> str:
    if value == "-":
        raw = sys.stdin.buffer.read(LARGEST_FILE + 1)
    elif value.startswith("@"):
        with Path(value[1:]).open("rb") as file:
            raw = file.read(LARGEST_FILE + 1)
    else:
        return value
    if len(raw) > LARGEST_FILE:
        raise ValueError(f"more than {LARGEST_FILE} bytes")
    return raw.decode("utf-8-sig")


# What no shell reads as anything but itself. Words are pasted as they are, so that any other would be run, split or
# expanded with the next Enter; one that begins with a dash or a sign may be an option, or a command's path to zsh.
_PLAIN_WORD = re.compile(r"[\w./][\w./:,@%+=-]*")


class Name(ParamType):
    """A text that the shell can complete, with such stored ones as mean nothing to it."""

    name = "text"

    def __init__(self, names: Callable[[click.Context], list[str]]) -> None:
        self._names = names

    def shell_complete(self, ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
        names = (name for name in self._names(ctx) if name.startswith(incomplete))
        return [CompletionItem(name) for name in names if _PLAIN_WORD.fullmatch(name)]


def zone_names(_: click.Context) -> list[str]:
    """List the IANA time zones."""
    from zoneinfo import available_timezones

    return sorted(available_timezones())
