"""Is it the system that has no process, thread, file or memory left, rather than the run that is at fault?"""

from __future__ import annotations

import errno

_SCARCE = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class NotStarted(Exception):
    """The system lacks what a run needs to begin. The run has not begun, is not at fault, and is queued again."""


def is_shortage(error: OSError) -> bool:
    """Tell whether an error says that something has run out for now."""
    return error.errno in _SCARCE
