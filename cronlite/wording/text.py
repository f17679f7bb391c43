"""How is text that somebody stored shown, so that no terminal obeys it?

Whatever is not printable by Unicode's account is written out: control characters of both sets (C0 and C1), and the
marks that turn the direction of a text.
"""

from __future__ import annotations

import re

_COLOUR = re.compile("(\x1b\\[[0-9;]*m)")


def one_line(text: str) -> str:
    """Write control characters and line breaks out, so that no stored text can move the cursor."""
    return text if text.isprintable() else "".join(_visible(character, "") for character in text)


def printable(text: str) -> str:
    """Keep line breaks and tabs, and write out all else that a terminal would obey."""
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(_visible(character, "\n\t") for character in text)


def but_colours(text: str) -> str:
    """Make a whole answer printable, but for the colours in it: a last gate for what was forgotten elsewhere."""
    return "".join(part if at % 2 else printable(part) for at, part in enumerate(_COLOUR.split(text)))


def _visible(character: str, allowed: str) -> str:
    if character.isprintable() or character in allowed:
        return character
    return character.encode("unicode_escape").decode()
