"""How does somebody who knows a token sign in, and out again?"""

from __future__ import annotations

import threading
import time

from cronlite.logger import logger
from cronlite.web.access import SESSION_SECONDS
from cronlite.web.exchange import Answer
from cronlite.web.visit import Visit, inside

log = logger("cronlite.web")

COOKIE = "cronlite_session"
_AFTER_A_WRONG_ONE_SECONDS = 0.5
_waiting = threading.BoundedSemaphore(4)


def asked(visit: Visit) -> Answer:
    """Ask for a token."""
    return visit.page("sign_in.html", wrong=False, to=inside(visit.asked("to")), name="")


def done(visit: Visit) -> Answer:
    """Exchange a token for a session."""
    tokens, to, name = visit.tokens, inside(visit.given("to")), visit.given("name").strip()
    level = tokens.level(visit.given("token").strip()) if tokens else None
    if tokens is None or level is None:
        log.warning("somebody at %s gave a wrong token", visit.request.client or "an unknown address")
        if not _wait_a_moment():
            return Answer.text(429, "Too many wrong tokens at once; try again in a moment.")
        return visit.page("sign_in.html", 403, wrong=True, to=to, name=name)
    answer = Answer(status=303, headers=[("Location", to or visit.url("/").unescape())])
    session = tokens.session(level, name or f"somebody with the {level} token")
    answer.with_cookie(COOKIE, session, path=visit.cookie_path, secure=visit.request.secure, seconds=SESSION_SECONDS)
    return answer


def _wait_a_moment() -> bool:
    """Wait; where too many do so already, tell so at once: they would take the threads of all others."""
    if not _waiting.acquire(blocking=False):
        return False
    try:
        time.sleep(_AFTER_A_WRONG_ONE_SECONDS)
    finally:
        _waiting.release()
    return True


def left(visit: Visit) -> Answer:
    """End a session in this browser."""
    answer = visit.see("/sign-in")
    answer.with_cookie(COOKIE, "", path=visit.cookie_path, secure=visit.request.secure, seconds=0)
    return answer
