"""Is the stack of a thread told, and at no risk for the process?"""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

from cronlite.dispatch.stacks import stack_of

# In a process of its own: where it goes wrong, not even a signal is heard any more.
_COLLECTED_MEANWHILE = """
import gc, threading
from cronlite.dispatch.stacks import stack_of

class Garbage:
    def __init__(self):
        self.itself, self.local = self, threading.local()

for _ in range(20):
    threading.Thread(target=threading.Event().wait, daemon=True).start()
for threshold in range(1, 200):
    gc.collect()
    gc.set_threshold(100_000)
    Garbage()
    gc.set_threshold(gc.get_count()[0] + threshold)  # sooner or later it is reached while the frames are looked at
    stack_of(threading.get_ident())
    assert gc.isenabled()
print("told")
"""


def test_what_is_collected_while_frames_are_looked_at_stops_nothing() -> None:
    answer = subprocess.run([sys.executable, "-c", _COLLECTED_MEANWHILE], capture_output=True, text=True, timeout=60)
    assert answer.stdout == "told\n", answer.stderr


def test_the_stack_of_a_thread_is_told_for_as_long_as_it_lives() -> None:
    waits, ends = threading.Event(), threading.Event()

    def hang() -> None:
        waits.set()
        ends.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    assert waits.wait(20)
    assert "in hang" in stack_of(thread.ident)
    ends.set()
    thread.join()
    assert stack_of(thread.ident) == stack_of(None) == ""


def test_collection_is_left_as_it_was_however_many_look() -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(stack_of, [threading.get_ident()] * 2_000))
    assert gc.isenabled()
    gc.disable()
    try:
        stack_of(None)
        assert not gc.isenabled()
    finally:
        gc.enable()
