"""What is kept from running for a while, and how many of a kind may run at once?"""

from __future__ import annotations

from typing import Any

from cronlite.client.freezes import Freezes
from cronlite.errors import Fault, InvalidInput
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit
from cronlite.wording.spoken import coming, ending

_PICKS = ("tag", "user", "handler", "queue")
_MOST = 100_000


def freezes(visit: Visit) -> Answer:
    """List freezes and limits."""
    known = visit.cron.freezes.list(ended=True)
    return visit.page(
        "freezes.html",
        in_force=[freeze for freeze in known if freeze.covers(visit.now)],
        coming=[freeze for freeze in known if freeze.from_at > visit.now and not freeze.has_ended(visit.now)],
        ended=[freeze for freeze in known if freeze.has_ended(visit.now)],
        limits=visit.cron.limits.list(),
    )


def done(visit: Visit) -> Answer:
    """Freeze, thaw, set a limit or remove one, as the form has it."""
    act = {"freeze": _freeze, "thaw": _thaw, "limit": _limit, "unlimit": _unlimit}.get(visit.given("do"))
    if act is None:
        raise InvalidInput(Fault("do", visit.given("do"), "is nothing that is done here", "use the page's buttons"))
    return visit.see("/freezes", act(visit, visit.cron.freezes))


def _freeze(visit: Visit, all_: Freezes) -> str:
    """Freeze what the form picks; its instants are in UTC where they name no zone."""
    picks: dict[str, Any] = {name: visit.given(name).strip() or None for name in _PICKS}
    start, until = visit.given("start").strip(), visit.given("until").strip()
    begin = coming(start, "start", visit.now) if start else None
    freeze = all_.add(
        **picks,
        everything=not any(picks.values()),
        start=begin,
        until=ending(until, "until", begin or visit.now, visit.now) if until else None,
        reason=visit.given("reason").strip(),
        then="run" if visit.given("then") == "run" else "skip",
        hold=bool(visit.given("hold")),
        actor=visit.actor,
    )
    return f"{freeze.picks()}: {freeze.told()}"


def _thaw(visit: Visit, all_: Freezes) -> str:
    freeze = all_.thaw(visit.given("id"), actor=visit.actor)
    return f"{freeze.picks()}: the freeze has ended."


def _limit(visit: Visit, _: Freezes) -> str:
    typed = visit.given("most").strip()
    if not typed.isdecimal() or int(typed) > _MOST:
        raise InvalidInput(Fault("most", typed, "is no number of runs", f"give 0 to {_MOST}"))
    limit = visit.cron.limits.set(visit.given("name").strip(), int(typed), actor=visit.actor)
    return f"At most {limit.most} runs with the limit {limit.name} are at work at once from now on."


def _unlimit(visit: Visit, _: Freezes) -> str:
    visit.cron.limits.remove(visit.given("name"))
    return f"The limit {visit.given('name')} is removed."
