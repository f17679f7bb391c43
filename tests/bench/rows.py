"""What was measured, what was it to be, and how is that shown?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

HEAD = ("benchmark", "what", "side", "median", "spread", "compared", "target", "met")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What issue and README promise: a bound of a row's median or of its ratio to another."""

    least: float | None = None
    most: float | None = None
    of: str = "value"
    """Of the median ("value"), or of its "ratio"."""

    def met(self, row: Row) -> bool | None:
        found = row.value if self.of == "value" else row.ratio
        if found is None:
            return None
        return (self.least is None or found >= self.least) and (self.most is None or found <= self.most)

    def told(self, unit: str) -> str:
        bound, sign = (self.most, "≤") if self.least is None else (self.least, "≥")
        assert bound is not None
        return f"{sign} {_number(bound)} {'x' if self.of == 'ratio' else unit}"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table: what was measured of whom, each time, in a unit."""

    benchmark: str
    what: str
    side: str
    values: Sequence[float]
    unit: str
    ratio: float | None = None
    ratio_to: str = ""
    target: Target | None = None
    more: dict[str, Any] = field(default_factory=dict)
    """Details, for the JSON only."""

    @property
    def value(self) -> float | None:
        return median(self.values) if self.values else None

    @property
    def cells(self) -> tuple[str, ...]:
        """What the table shows, in the order of HEAD."""
        value = "-" if self.value is None else f"{_number(self.value)} {self.unit}"
        ratio = "" if self.ratio is None else f"{_number(self.ratio)} x {self.ratio_to}"
        target, met = ("", "") if self.target is None else (self.target.told(self.unit), self.met)
        return self.benchmark, self.what, self.side, value, self.spread, ratio, target, met

    @property
    def spread(self) -> str:
        """Tell the least and the most, and how far apart they are, in parts of the median."""
        if len(self.values) < 2:
            return ""
        least, most, middle = min(self.values), max(self.values), median(self.values)
        apart = f" ({(most - least) / middle:.0%})" if middle > 0 else ""
        return f"{_number(least)} … {_number(most)}{apart}"

    @property
    def met(self) -> str:
        met = self.target.met(self) if self.target else None
        return {True: "yes", False: "NO", None: "?"}[met]

    def as_json(self) -> dict[str, Any]:
        told = asdict(self) | {"median": self.value, "target": None}
        if self.target:
            told |= {"target": self.target.told(self.unit), "met": self.target.met(self)}
        return told


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out, columns aligned; what a row shares with the one above is left blank."""
    lines = [HEAD, *(row.cells for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown, above = [], ("",) * len(HEAD)
    for line in lines:
        same = line[0] == above[0], line[:2] == above[:2]
        blanked = ("" if same[0] else line[0], "" if same[1] else line[1], *line[2:])
        cells = (
            cell.rjust(width) if name == "median" else cell.ljust(width)
            for cell, width, name in zip(blanked, widths, HEAD, strict=True)
        )
        shown.append("  ".join(cells).rstrip())
        above = line
    return "\n".join([shown[0], "  ".join("-" * width for width in widths), *shown[1:]])


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"
