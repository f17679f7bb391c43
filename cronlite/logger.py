"""How does cronlite log without harm to what it reports on?"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter  # takes no subscript before Python 3.11


class _Unfailing(_Adapter):
    """A logger whose handlers, filters and formatters may raise anything: the record is lost, and nothing else."""

    def log(self, level: int, msg: object, *args: Any, stacklevel: int = 1, **kwargs: Any) -> None:
        """Log as logging does; the caller's place is the one that is told."""
        with suppress(Exception, SystemExit):
            super().log(level, msg, *args, stacklevel=stacklevel + 1, **kwargs)


def logger(name: str) -> _Unfailing:
    """Return the logger of a name; no call of it ever raises.

    An application's own handler may: on a full disk, without its network, at the end of the process. The daemon's loops
    and the threads of its pool must outlive that.
    """
    return _Unfailing(logging.getLogger(name), {})
