"""By which way does a request come to its page, and what is said where there is none?"""

from __future__ import annotations

from collections.abc import Collection

from cronlite.client.actors import actor_of
from cronlite.client.app import Cronlite
from cronlite.errors import (
    Conflict,
    CronliteError,
    InvalidInput,
    NotFound,
    QuotaExceeded,
    StoreError,
    StoreUnavailable,
)
from cronlite.logger import logger
from cronlite.web import forms, hosts
from cronlite.web.access import Tokens, Visitor
from cronlite.web.exchange import Answer, Request
from cronlite.web.files import static
from cronlite.web.pages.signing import COOKIE
from cronlite.web.screens import NAV, SCREENS, Screen
from cronlite.web.visit import Visit

log = logger("cronlite.web")

PAGE_SECONDS = 5.0
"""How long the store may take for a page to look at."""
_STATIC = "/static/"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")  # by a proxy on this machine, for somebody elsewhere
POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
GUARDS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),  # "no-referrer" would take the origin from forms as well
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
_TITLES = {400: "That cannot be done", 403: "That is not allowed", 404: "There is no such thing", 409: "It has changed"}
_STATUS: tuple[tuple[type[CronliteError], int], ...] = (
    (InvalidInput, 400),
    (QuotaExceeded, 409),
    (Conflict, 409),
    (NotFound, 404),
    (StoreUnavailable, 503),
    (StoreError, 500),
)


class Pages:
    """All pages of a site over one Cronlite, and their gates. A visitor comes from an adapter, or by a token."""

    def __init__(
        self, cron: Cronlite, *, names: Collection[str] | None, tokens: Tokens | None = None, read_only: bool = False
    ) -> None:
        """`names` are those in `Host`, None where somebody before this looked at them already."""
        self._cron, self._names, self._read_only = cron, names, read_only
        self.tokens = tokens or None

    def answer(self, request: Request, visitor: Visitor | None = None) -> Answer:
        """Answer a request; nothing that a page does ends in an exception."""
        answer = self._gated(request, visitor)
        have = {name for name, _ in answer.headers}
        answer.headers += [*GUARDS, *([] if "Cache-Control" in have else [("Cache-Control", "no-store")])]
        return answer

    def _gated(self, request: Request, visitor: Visitor | None) -> Answer:
        host = request.headers.get("host", "")
        if self._names is not None and not hosts.is_allowed(host, self._names):
            return Answer.text(421, "This site is not served under that name; whoever runs it can add it with --host.")
        if request.path.startswith(_STATIC):
            return static(request.path.removeprefix(_STATIC))
        screen = SCREENS.get(request.path)
        if screen is None:
            return self._refused(request, visitor, 404, "No page of this site is here.")
        visitor = visitor or self._signed_in(request)
        if visitor is None and not screen.is_open:
            return self._stranger(request)
        return self._of_screen(screen, request, visitor or Visitor(""))

    def _of_screen(self, screen: Screen, request: Request, visitor: Visitor) -> Answer:
        page = screen.post if request.method == "POST" else screen.get if request.method in ("GET", "HEAD") else None
        if page is None:
            return self._refused(request, visitor, 405, "That is not how this page is asked.")
        visit = self._visit(request, visitor)
        if request.method == "POST":
            if reason := forms.refusal(request):
                return self._refused(request, visitor, 403, f"The form is refused: {reason}.")
            if not screen.is_open and not visit.may_operate:
                why = "the site is read-only" if self._read_only else "you may look, and change nothing"
                return self._refused(request, visitor, 403, f"The form is refused: {why}.")
        try:
            if request.method == "POST":
                return page(visit)
            with self._cron.store.within(PAGE_SECONDS):
                return page(visit)
        except CronliteError as refused:
            status = next((status for kind, status in _STATUS if isinstance(refused, kind)), 500)
            return self._refused(request, visitor, status, str(refused))
        except Exception:  # whatever is wrong with a page, the next one is answered
            log.exception("the page %s failed", screen.path)
            return self._refused(request, visitor, 500, "The page failed; the site's log says why.")

    def _signed_in(self, request: Request) -> Visitor | None:
        if self.tokens is not None:
            return self.tokens.visitor(request.cookies.get(COOKIE)) or self._bearer(self.tokens, request)
        is_near = hosts.is_loopback(request.client) and not any(name in request.headers for name in _FORWARDED)
        return Visitor(actor_of(None, "web").name, may_operate=True) if is_near else None

    def _bearer(self, tokens: Tokens, request: Request) -> Visitor | None:
        """Let a program in that brings a token with each request, as Prometheus does: to look, and no more."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return Visitor("a program") if scheme.lower() == "bearer" and tokens.level(token) else None

    def _stranger(self, request: Request) -> Answer:
        if self.tokens is None:
            return Answer.text(403, "Without a token this site answers its own machine only.")
        if request.method == "POST":
            return self._refused(request, None, 403, "You are not signed in any more; sign in, and send it again.")
        visit = self._visit(request, Visitor(""))
        if request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # A link from elsewhere comes without our cookies; when the page asks for itself again, they are sent.
            return visit.page("again.html")
        asked = {name: list(values) for name, values in request.query.items()}
        return visit.see("/sign-in", to=visit.url(request.path, **asked).unescape())

    def _visit(self, request: Request, visitor: Visitor) -> Visit:
        return Visit(
            cron=self._cron,
            request=request,
            visitor=visitor,
            read_only=self._read_only,
            tokens=self.tokens,
            nav=NAV,
        )

    def _refused(self, request: Request, visitor: Visitor | None, status: int, reason: str) -> Answer:
        visit = self._visit(request, visitor or Visitor(""))
        visit.guess_what_is_out_of_reach()
        return visit.page("refused.html", status, title=_TITLES.get(status, "That went wrong"), reason=reason)
