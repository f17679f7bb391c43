"""What becomes of an answer where a standard stream is closed, its disk is full, or nobody reads it?"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import IO, Any

import click

from cronlite.errors import CronliteError
from cronlite.wording.text import but_colours

_FLAGS = (os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)


class Unwritable(CronliteError):
    """The answer cannot be written, though somebody may want to read it; what it tells of has happened."""


def open_closed() -> None:
    """Open the null device in the place of each standard stream that is closed.

    Whoever closes a stream does not want it; and left closed, the next file that is opened would take its number, and
    what is printed would go into that file.
    """
    for number, flags in enumerate(_FLAGS):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest number that is free, which is this one
    # The interpreter has None for what was closed at its start. They stay open to the end of the process.
    sys.stdin = sys.stdin or open(0, closefd=False)  # noqa: SIM115
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")  # no locale may turn an answer into an error


def say(text: str = "", *, end: str = "\n") -> None:
    """Print a part of the answer on stdout, with nothing in it for a terminal to obey but colours.

    Raises BrokenPipeError when nobody reads it, and Unwritable when it goes nowhere for another reason.
    """
    try:
        click.echo(f"{but_colours(text)}{end}", nl=False)
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as refused:  # a full disk, or a stream that the application has closed
        reason = (refused.strerror if isinstance(refused, OSError) else None) or str(refused)
        raise Unwritable(
            f"the answer cannot be written: {reason}; what the command had to change is changed all the same"
        ) from None


def remark(text: str) -> None:
    """Print a line on stderr; no command fails because nobody hears what it says beside its answer."""
    try:
        click.echo(but_colours(text), err=True)
    except (OSError, ValueError):
        hush(sys.stderr)


def hush(stream: IO[Any] | None = None) -> None:
    """Send what a stream (stdout) still has to write to nowhere, so that the interpreter's last flush does not fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())
