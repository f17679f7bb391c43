"""How did the last runs of a schedule go, as marks that fit into a line of a list?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from markupsafe import Markup

from cronlite.documents.outlines import Outline
from cronlite.web.charts.svg import path
from cronlite.web.templating import BAD, GOOD, REST, WORK, look

SHOWN = 20
# The shapes that stand beside states, a little smaller: they tell more than their colours.
_SHAPES = {
    GOOD: "M{0} 1.5a3.5 3.5 0 1 0 .01 0z",
    BAD: "M{0} 1l4.2 8h-8.4z",
    WORK: "M{0} 1.5h3.5v7h-7v-7z",
    REST: "M{0} 4h3.5v2h-7v-2z",
}


def marks(outlines: Sequence[Outline]) -> Markup:
    """Draw the last runs, the newest at the right; `outlines` come as stores give them, the newest first."""
    shown = list(reversed(outlines[:SHOWN]))
    if not shown:
        return Markup("")
    states = Counter(one.state.replace("_", " ") for one in shown)
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    places: dict[str, list[str]] = {kind: [] for kind in _SHAPES}
    for place, one in enumerate(shown):
        places[look(one.state)].append(_SHAPES[look(one.state)].format(place * 10 + 5))
    return Markup(
        '<svg class="marks-of-runs" viewBox="0 0 {} 10" width="{}" height="10" role="img"><title>{}</title>{}</svg>'
    ).format(
        len(shown) * 10,
        len(shown) * 10,
        f"The last {len(shown)} runs, the newest at the right: {told}" if len(shown) > 1 else f"The last run: {told}",
        Markup("").join(path(kind, steps) for kind, steps in places.items()),
    )
