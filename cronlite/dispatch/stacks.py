"""Where is a thread at this moment?"""

from __future__ import annotations

import gc
import sys
import threading
import traceback

_looking = threading.Lock()


def stack_of(thread: int | None) -> str:
    """Return the stack of the thread with this ident; empty where there is none.

    Nothing is collected as garbage meanwhile: before Python 3.12, that may stop the whole process for good, as whoever
    looks at all frames holds a lock that a thread-local needs in order to go (CPython's issue 106883).
    """
    with _looking:  # or one thread would find collection off, and another leave it so
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            frame = sys._current_frames().get(thread or 0)
        finally:
            if was_enabled:
                gc.enable()
    return "".join(traceback.format_stack(frame)) if frame else ""
