"""How does a message of any size take no more memory than the longest that is read?"""

from __future__ import annotations

from collections.abc import Callable
from struct import pack, unpack_from
from typing import Any

from amqp.method_framing import frame_handler

MAX_BODY = 1024 * 1024
"""The longest body that is read, in bytes; of a longer one the rest is thrown away as it comes."""

_HEADER, _BODY = 2, 3
_SIZE = slice(4, 12)  # where a header frame says how long the body is

Frame = tuple[int, int, Any]


def cutting(connection: Any, callback: Callable[..., Any]) -> Callable[[Frame], bool]:
    """Return py-amqp's own handler of frames, which is shown no more than one byte beyond MAX_BODY of each body.

    The broker sends all of a message, however long: nothing but this keeps a foreign one of gigabytes out of memory.
    """
    handle: Callable[[Frame], bool] = frame_handler(connection, callback)
    coming: dict[int, tuple[int, int]] = {}  # by channel: how many bytes of a long body to hand on, and to throw away

    def on_frame(frame: Frame) -> bool:
        kind, channel, payload = frame
        if kind == _HEADER and (size := unpack_from(">Q", payload, _SIZE.start)[0]) > MAX_BODY + 1:
            coming[channel] = MAX_BODY + 1, size - MAX_BODY - 1
            payload = bytes(payload[: _SIZE.start]) + pack(">Q", MAX_BODY + 1) + bytes(payload[_SIZE.stop :])
        elif kind == _BODY and channel in coming:
            wanted, unwanted = coming[channel]
            kept = payload[:wanted]
            coming[channel] = wanted - len(kept), unwanted - (len(payload) - len(kept))
            if coming[channel] == (0, 0):
                del coming[channel]
            if not kept:
                connection.bytes_recv += 1  # a sign of life, as any frame
                return True
            payload = kept
        return handle((kind, channel, payload))

    return on_frame
