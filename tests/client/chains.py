"""Handlers that leave work behind for another one, in every way there is."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import cronlite
from cronlite.handlers.registry import Registry

registry = Registry()


def follow_up(params: dict[str, Any]) -> None:
    more = {"user": params["told"]} if "told" in params else {}
    cronlite.enqueue("end", {"of": cronlite.current_run().id}, **more)


def plainly(params: dict[str, Any]) -> None:
    follow_up(params)


def by_a_schedule(params: dict[str, Any]) -> None:
    cronlite.schedule(params={"of": 1}, minute=5, handler="end", name="made in a run")


def through_to_thread(params: dict[str, Any]) -> None:
    asyncio.run(asyncio.to_thread(follow_up, params))


async def on_the_loop(params: dict[str, Any]) -> None:
    await asyncio.to_thread(follow_up, params)
    follow_up(params)


def in_a_thread_of_its_own(params: dict[str, Any]) -> None:
    thread = threading.Thread(target=cronlite.enqueue, args=("end", {"of": "a thread"}))
    thread.start()
    thread.join()


def end(params: dict[str, Any]) -> str:
    return cronlite.current_run().user


for function in (plainly, by_a_schedule, through_to_thread, on_the_loop, end):
    registry.handler(function)
for function in (plainly, through_to_thread, in_a_thread_of_its_own):
    registry.handler(f"{function.__name__}_in_a_child", isolation="process")(function)
