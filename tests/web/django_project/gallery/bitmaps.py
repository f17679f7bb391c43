"""How is a picture made smaller, of the one kind that takes no library: BMP with 24 bits a pixel?"""

import struct

_HEADER = struct.Struct("<2sIHHIIiiHHIIiiII")
Pixel = bytes


def bitmap(rows: list[list[Pixel]]) -> bytes:
    """Write rows of pixels, each three bytes, from the bottom up."""
    width, height = len(rows[0]), len(rows)
    lines = [b"".join(row) for row in rows]
    body = b"".join(line + bytes(-len(line) % 4) for line in lines)
    size = _HEADER.size + len(body)
    return _HEADER.pack(b"BM", size, 0, 0, _HEADER.size, 40, width, height, 1, 24, 0, len(body), 0, 0, 0, 0) + body


def pixels(picture: bytes) -> list[list[Pixel]]:
    """Read rows of pixels. Raises ValueError for what is no such picture."""
    try:
        kind, _, _, _, start, _, width, height, _, bits, packed, *_ = _HEADER.unpack_from(picture)
    except struct.error:
        raise ValueError("it is too short for a picture") from None
    if (kind, bits, packed) != (b"BM", 24, 0) or width <= 0 or height <= 0:
        raise ValueError("it is no BMP with 24 bits a pixel")
    line = width * 3 + -width * 3 % 4
    rows = [picture[start + y * line : start + y * line + width * 3] for y in range(height)]
    return [[row[x : x + 3] for x in range(0, width * 3, 3)] for row in rows]


def shrunk(picture: bytes, side: int) -> bytes:
    """Return a picture whose longer side has at most so many pixels, each the mean of those that it stands for."""
    rows = pixels(picture)
    step = max(1, -(-max(len(rows), len(rows[0])) // side))
    return bitmap(
        [
            [_mean([p for row in rows[y : y + step] for p in row[x : x + step]]) for x in range(0, len(rows[0]), step)]
            for y in range(0, len(rows), step)
        ]
    )


def _mean(group: list[Pixel]) -> Pixel:
    return bytes(sum(pixel[colour] for pixel in group) // len(group) for colour in range(3))
