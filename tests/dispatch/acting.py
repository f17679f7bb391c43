"""What can a handler do to a pool: one handler that does what its params say, where child processes can import it."""

import asyncio
import contextlib
import faulthandler
import functools
import logging
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cronlite import current_run
from cronlite.dispatch.child import in_child
from cronlite.errors import GiveUp, RetryLater
from tests.waiting import wait_until

log = logging.getLogger("tests.acting")

gates: dict[str, threading.Event] = {}
"""Events that actions of this process wait for, by name."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise SystemExit("no message")

    __repr__ = __str__


def act(params: dict[str, Any]) -> Any:
    """Do what `action` says, with the rest of the params."""
    rest = dict(params)
    return ACTIONS[rest.pop("action", "ok")](**rest)


async def act_async(params: dict[str, Any]) -> Any:
    """Do the same in a coroutine; some actions are its own."""
    rest = dict(params)
    action = rest.pop("action", "ok")
    if action == "sleep":
        await asyncio.sleep(3600)
    elif action == "swallow":
        await _swallow(**rest)
    elif action == "task that exits":
        asyncio.get_running_loop().call_soon(sys.exit, 3)
        await asyncio.sleep(0)
    elif action == "cancel":
        raise asyncio.CancelledError
    else:
        return ACTIONS[action](**rest)
    return None


async def _swallow(gate: str) -> None:
    while not gates[gate].is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0.01)


def _raise(kind: str, message: str = "no luck") -> None:
    kinds: dict[str, Callable[[], BaseException]] = {
        "value": lambda: ValueError(message),
        "exit": lambda: SystemExit(message),
        "interrupt": KeyboardInterrupt,
        "base": lambda: BaseException(message),
        "cancelled": asyncio.CancelledError,
        "unprintable": Unprintable,
        "surrogate": lambda: ValueError("half \ud800 and NUL \0"),
        "long": lambda: ValueError("x" * 20_000_000),
        "later": lambda: RetryLater(90, "the other side is down"),
        "give up": lambda: GiveUp("no such customer"),
        "memory": MemoryError,
    }
    raise kinds[kind]()


def _recurse() -> None:
    _recurse()


def _odd_result(kind: str) -> Any:
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    return {"nan": math.nan, "cyclic": cyclic, "big": "x" * 20_000_000, "object": object(), "tuple": (1, 2)}[kind]


async def _nothing() -> None: ...


def _print(text: str, times: int = 1, error: bool = False) -> None:
    for _ in range(times):
        print(text, file=sys.stderr if error else sys.stdout)


def _close_stdout(descriptors: bool = False) -> None:
    sys.stdout.close()
    if descriptors:
        os.close(1)
        os.close(2)


def _fork_and_hold(exit_status: int) -> None:
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(exit_status)


def _fork_and_return() -> str:
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
    elif in_child():
        log.warning("from the fork")
    return "parent" if pid else "child"


def _start(into: str) -> None:
    process = subprocess.Popen(["sleep", "3600"])
    Path(into).write_text(f"{os.getpid()} {process.pid}\n")
    time.sleep(3600)


def _start_and_hold(into: str) -> None:
    Path(into).write_text(f"{os.getpid()}\n")
    re.match(r"(a+)+$", "a" * 40 + "b")  # for years, and never lets go of the interpreter


def _leave_in_background(into: str) -> None:
    process = subprocess.Popen(["sleep", "3600"])
    Path(into).write_text(f"{os.getpid()} {process.pid}\n")
    process.returncode = 0  # or Python warns that nobody waits for it


def _start_in_background(into: str) -> None:
    process = subprocess.Popen(["sleep", "3600"])
    Path(into).write_text(f"{process.pid}\n")
    process.returncode = 0  # or Python warns that nobody waits for it


def _leave_a_thread_asking(into: str, when: str) -> None:
    run = current_run()

    def ask() -> None:
        wait_until(Path(when).exists)
        Path(into).touch()
        Path(into).write_text(str(run.still_mine()))

    threading.Thread(target=ask, daemon=True).start()


def _leave_a_thread(into: str) -> None:
    run = current_run()

    def ask() -> None:
        gates["late"].wait(30)
        log.warning("from a thread left behind")
        Path(into).write_text(str(run.still_mine()))

    gates["late"] = threading.Event()
    threading.Thread(target=ask, daemon=True).start()


def _about_the_run() -> dict[str, Any]:
    run = current_run()
    return {
        "id": run.id,
        "user": run.user,
        "handler": run.handler,
        "schedule": run.schedule,
        "due_at": run.due_at.isoformat(),
        "attempt": run.attempt,
        "key": run.key,
        "mine": run.still_mine(),
    }


threads_left: list[threading.Thread] = []


def _sleeping_thread() -> threading.Thread:
    thread = threading.Thread(target=time.sleep, args=(3600,), daemon=True)
    thread.start()
    return thread


def _segfault() -> None:
    faulthandler.disable()  # pytest's, where this runs in its own process
    os.kill(os.getpid(), signal.SIGSEGV)


def _ask_and_die(once: str) -> None:
    threading.Thread(target=current_run().still_mine, daemon=True).start()
    while not Path(once).exists():
        time.sleep(0.01)
    print("last words")
    os._exit(1)


def _wait(gate: str) -> bool:
    return gates[gate].wait(30)


ACTIONS: dict[str, Callable[..., Any]] = {
    "ok": lambda value=None: value,
    "raise": _raise,
    "recurse": _recurse,
    "result": _odd_result,
    "coroutine": _nothing,
    "wait": _wait,
    "touch": lambda path: Path(path).touch(),
    "sleep": lambda: time.sleep(3600),
    "print": _print,
    "write": lambda text: os.write(1, text.encode()),
    "log": lambda message: log.warning(message),
    "log error": lambda: log.exception("it failed", exc_info=ValueError("inner")),
    "close stdout": _close_stdout,
    "replace stdout": lambda: setattr(sys, "stdout", None),
    "chdir": os.chdir,
    "cwd": os.getcwd,
    "pid": os.getpid,
    "group": os.getpgrp,
    "segfault": _segfault,
    "ask and die": _ask_and_die,
    "length": lambda text: len(text),
    "in child": in_child,
    "leak": lambda count: threads_left.extend(_sleeping_thread() for _ in range(count)),
    "_exit": lambda status: os._exit(status),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "close everything": functools.partial(os.closerange, 0, 1000),
    "fork and hold": _fork_and_hold,
    "fork and return": _fork_and_return,
    "start": _start,
    "start in background": _start_in_background,
    "start and hold the interpreter": _start_and_hold,
    "leave in background": _leave_in_background,
    "leave a thread": _leave_a_thread,
    "leave a thread asking": _leave_a_thread_asking,
    "open the gate": lambda: gates["late"].set(),
    "run": _about_the_run,
    "not mine": lambda: "wrong" if current_run().still_mine() else "right",
}
