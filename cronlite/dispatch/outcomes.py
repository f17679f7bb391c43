"""What becomes of the end of a handler's call: the outcome to record, whatever the handler did."""

from __future__ import annotations

import inspect
import signal
import traceback
from pathlib import Path
from typing import Any

from cronlite.documents import checks, runs
from cronlite.documents.runs import Outcome
from cronlite.errors import CronliteError, GiveUp, RetryLater
from cronlite.handlers.output import printable
from cronlite.handlers.shell import CommandFailed

_PACKAGE = Path(__file__).parents[1]
MAX_MESSAGE = 2_000
MAX_TRACEBACK = 8_000


def returned(result: Any) -> Outcome:
    """Return the outcome of a call that came back. Raises TypeError for a coroutine that nobody will run."""
    if result is None:
        return _NOTHING
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError("the handler returned a coroutine: define it with async def")
    return Outcome(runs.SUCCEEDED, result=checks.storable(result))


_NOTHING = Outcome(runs.SUCCEEDED)


def raised(error: BaseException) -> Outcome:
    """Return the outcome of a call that raised anything, SystemExit and unprintable errors included."""
    return Outcome(
        runs.FAILED,
        error={"type": _type(error), "message": _message(error), "traceback": _traceback(error)},
        again_in=error.seconds if isinstance(error, RetryLater) else None,
        retriable=not isinstance(error, GiveUp),
    )


def timed_out(seconds: float | None, *, still_at: str | None = None) -> Outcome:
    """Return the outcome of a call that was cut off at its limit, or (`still_at`, a stack) that cannot be."""
    message, stack = f"ran longer than its {seconds:g} s", ""
    if still_at is not None:
        message, stack = f"{message}, and goes on: it cannot be cut off", _tail(still_at)
    return Outcome(
        runs.TIMED_OUT,
        error={"type": "TimedOut", "message": message, "traceback": stack},
        retriable=still_at is None,
    )


def cut_off(why: str) -> Outcome:
    """Return the outcome of a call that was ended through no fault of its own: it costs neither a retry nor a crash."""
    return Outcome(runs.QUEUED, error={"type": "CutOff", "message": why, "traceback": ""})


def died(status: int | None) -> Outcome:
    """Return the outcome of a call whose child process ended with a status, as `subprocess` gives it.

    None stands for one that fell silent, and had to be ended.
    """
    if status is None:
        message = "its process closed its connection to the daemon before the handler was done, and was ended"
    elif status < 0:
        message = f"its process was killed by {signal_name(-status)}"
        message += " (out of memory, or by hand)" if status == -signal.SIGKILL else ""
    else:
        message = f"its process exited with status {status} before the handler was done"
    return Outcome(runs.FAILED, error={"type": "ProcessDied", "message": message, "traceback": ""})


def signal_name(number: int) -> str:
    """Name a signal, those without a name of their own included."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _type(error: BaseException) -> str:
    kind = type(error)
    module = "" if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}."
    return printable(f"{module}{kind.__qualname__}")[:200]


def _message(error: BaseException) -> str:
    try:
        text = printable(str(error)[: 2 * MAX_MESSAGE])
    except BaseException as broken:  # noqa: BLE001 - a foreign __str__ may raise anything
        return f"<its message cannot be shown: {type(broken).__name__}>"
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"


def _traceback(error: BaseException) -> str:
    if isinstance(error, CommandFailed):
        return _tail("\n".join([error.told, *error.last_lines]))
    if isinstance(error, CronliteError) and _ours_alone(error):
        return ""
    try:
        # the first frame is cronlite's own
        frames = error.__traceback__.tb_next if error.__traceback__ else None
        return _tail("".join(traceback.format_exception(type(error), error, frames)))
    except BaseException as broken:  # noqa: BLE001 - it calls foreign code, too, and may run out of stack
        return f"<its traceback cannot be shown: {type(broken).__name__}>"


def _ours_alone(error: BaseException) -> bool:
    """Tell whether nobody else's code had a part in an error, so that a traceback would tell nobody anything."""
    frames = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    return all(Path(name).is_relative_to(_PACKAGE) for name in frames)


def _tail(text: str) -> str:
    shown = printable(text[-MAX_TRACEBACK:])
    return shown if len(shown) <= MAX_TRACEBACK else shown[-MAX_TRACEBACK:]
