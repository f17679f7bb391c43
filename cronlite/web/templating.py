"""How does a page become HTML, in which all that somebody stored is text and nothing but text?

Each value that a template names goes through `shown`: control characters are written out, and what is long is cut. Then
Jinja escapes it. A template cannot forget either.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, tzinfo
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from cronlite.documents import runs
from cronlite.version import VERSION
from cronlite.web.files import static_files
from cronlite.wording import instants, labels
from cronlite.wording.text import one_line, printable
from cronlite.wording.values import json_text

if TYPE_CHECKING:
    from cronlite.web.visit import Visit

LINE = 300
BLOCK = 64 * 1024
GOOD, BAD, WORK, REST = "good", "bad", "work", "rest"
_LOOKS = {
    runs.SUCCEEDED: GOOD,
    **dict.fromkeys((runs.FAILED, runs.TIMED_OUT, runs.ABANDONED), BAD),
    **dict.fromkeys((runs.QUEUED, runs.RUNNING, "waiting"), WORK),
}


def look(state: str) -> str:
    """Return which of the four looks (a colour, and a shape) the state of a run has."""
    return _LOOKS.get(state, REST)


def shown(value: object) -> object:
    """Make a value fit for a line: the last gate before it is escaped."""
    if isinstance(value, Markup):
        return value
    text = "" if value is None else str(value)
    return one_line(text if len(text) <= LINE else f"{text[: LINE - 1]}…")


def block(text: object, *, end: bool = False) -> Markup:
    """Show a text of many lines: its beginning, or its `end`, where it is too long."""
    whole = printable(str(text))
    if len(whole) <= BLOCK:
        return escape(whole)
    cut = f"[… {len(whole) - BLOCK:,} of {len(whole):,} characters are not shown …]"
    return escape(f"{cut}\n{whole[-BLOCK:]}" if end else f"{whole[:BLOCK]}\n{cut}")


def whole(value: object) -> Markup:
    """Show the value of a field of a form as it is, uncut: it comes back when the form is sent."""
    return escape("" if value is None else str(value))


def at(instant: datetime | None, now: datetime, zone: tzinfo | None = None) -> Markup:
    """Show how far an instant is from now, and which one it is where the pointer rests."""
    if instant is None:
        return Markup("")
    exact = instants.second(instant) if zone is None else f"{instants.minute(instant, zone)}"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        instants.iso(instant), exact, instants.relative(instant, now)
    )


def render(template: str, /, **values: Any) -> str:
    """Make a page."""
    return _environment().get_template(template).render(values)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cronlite.web"),
        autoescape=True,
        finalize=shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        block=block, whole=whole, at=at, look=look, json=_json, words=_words, exact=instants.second, **_LABELS
    )
    environment.globals.update(version=VERSION, static=_static)
    return environment


def _static(name: str, visit: Visit) -> Markup:
    """Return the URL of a file, which changes with the file, as browsers may keep it for a year."""
    return visit.url(f"/static/{name}", v=static_files()[name].mark)


def _json(value: object, indent: int | None = 2) -> str:
    return json_text(value, indent=indent)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _plainly(value: object) -> str:
    """Say the value of a field, before a change or after it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, datetime):
        return instants.second(value)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json_text(value, indent=None)


_LABELS: Mapping[str, Any] = {
    "state": labels.state,
    "took": labels.took,
    "outcome": labels.outcome,
    "plainly": _plainly,
    "failure": labels.failure,
    "ended": labels.at,
    "span": instants.span,
    "minute": instants.minute,
    "utc_minute": instants.utc_minute,
}
