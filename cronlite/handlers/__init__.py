"""Which functions are there to call, and what did they print?

An application registers functions in a `registry`, and `loading` imports it; `output` keeps the tail of what they print
and log while they run; `shell` is the one handler that cronlite brings, for operators who allow it.
"""

from cronlite.handlers.registry import Registry

__all__ = ["Registry"]
