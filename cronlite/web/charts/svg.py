"""How is a drawing written as SVG that a strict Content-Security-Policy lets through?

Colours and strokes are classes of the style sheet. A drawing is stretched to the width of the page, so what must keep
its shape is drawn as a stroke, and all words stand outside of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Place = float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing and the words around it.

    `axis` are the labels below it, evenly apart, `rows` those at its left, `scale` says what its full height is. `head`
    and `table` are its numbers for those who do not see it. `legend` pairs a class with what it stands for.
    """

    name: str
    title: str
    summary: str
    drawing: Markup
    axis: Sequence[str] = ()
    rows: Sequence[str] = ()
    scale: str = ""
    legend: Sequence[tuple[str, str]] = ()
    head: Sequence[str] = ()
    table: Sequence[Sequence[str]] = ()


def drawn(
    name: str, width: float, height: float, title: str, summary: str, parts: Iterable[Markup], pixels: int | None = None
) -> Markup:
    """Return the drawing, with its title and its description; `pixels` high, if the style sheet does not say it."""
    return Markup(
        '<svg viewBox="0 0 {} {}"{} preserveAspectRatio="none" role="img" aria-labelledby="{}-title {}-told">'
        '<title id="{}-title">{}</title><desc id="{}-told">{}</desc>{}</svg>'
    ).format(
        number(width),
        number(height),
        Markup("") if pixels is None else Markup(' height="{}"').format(pixels),
        name,
        name,
        name,
        title,
        name,
        summary,
        Markup("").join(parts),
    )


def path(look: str, steps: Iterable[str], title: str = "") -> Markup:
    """Return one path of a class, made of many steps; nothing where there are none."""
    way = "".join(steps)
    if not way:
        return Markup("")
    described = Markup("<title>{}</title>").format(title) if title else Markup("")
    return Markup('<path class="{}" d="{}">{}</path>').format(look, way, described)


def group(title: str, parts: Iterable[Markup]) -> Markup:
    """Return parts that share what is said where the pointer rests."""
    return Markup("<g><title>{}</title>{}</g>").format(title, Markup("").join(parts))


def box(x: Place, y: Place, width: float, height: float) -> str:
    """Return the steps around a rectangle."""
    return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h{number(-width)}z"


def dot(x: Place, y: Place) -> str:
    """Return the step of a stroke without length: its ends are all that is seen, and they are not stretched."""
    return f"M{number(x)} {number(y)}h0"


def line(points: Iterable[tuple[Place, Place]]) -> str:
    """Return the steps along some points."""
    return "".join(f"{'L' if place else 'M'}{number(x)} {number(y)}" for place, (x, y) in enumerate(points))


def number(value: float) -> str:
    """Write a number as short as it can be seen."""
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short == "-0" else short
