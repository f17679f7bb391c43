"""The handlers of `tests.faults.growth`: one of each kind that could leave something behind."""

from __future__ import annotations

import asyncio
import time

import cronlite


@cronlite.handler
def quick(params: object) -> None:
    """Do nothing."""


@cronlite.handler
def late(params: object) -> None:
    """Print, log and take a while."""
    print("printed" * 100)
    time.sleep(0.5)


@cronlite.handler
def failing(params: object) -> None:
    """Fail with a traceback."""
    raise ValueError("as it should")


@cronlite.handler
async def coroutine(params: object) -> None:
    """Wait on the loop."""
    await asyncio.sleep(0.2)


@cronlite.handler
def stuck_for_a_while(params: object) -> None:
    """Outlive the time limit."""
    time.sleep(10)


@cronlite.handler(isolation="process")
def apart(params: object) -> None:
    """Run in a child process."""


@cronlite.handler(isolation="process")
def apart_and_killed(params: object) -> None:
    """Be killed at the time limit."""
    time.sleep(60)
