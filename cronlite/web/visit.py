"""What does a page need to know: the store, what was asked, by whom, and how to answer?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any
from urllib.parse import quote, urlencode

from markupsafe import Markup

from cronlite.client.app import Cronlite
from cronlite.documents.changes import Actor
from cronlite.errors import CronliteError
from cronlite.web import access, forms
from cronlite.web.access import Tokens, Visitor
from cronlite.web.exchange import Answer, Request, fields_of
from cronlite.web.templating import render

TOLD = "cronlite_told"
_TOLD_SECONDS = 60
_LONGEST_TOLD = 500
REFRESH = "x-cronlite-refresh"
"""The header with which the script asks for a page again, to take its marked parts from it."""


def inside(to: str) -> str:
    """Return a path of this server, whatever was asked to go on to: nothing that a browser takes for another server."""
    is_path = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if is_path else ""


@dataclass(frozen=True, slots=True)
class Undo:
    """What would take back what was just done: the path and the fields of a form."""

    path: str
    fields: Mapping[str, Sequence[str]]


@dataclass(kw_only=True)
class Visit:
    """One request to a page, and the ways to answer it."""

    cron: Cronlite
    request: Request
    visitor: Visitor
    read_only: bool = False
    tokens: Tokens | None = None
    nav: Sequence[tuple[str, str]] = ()
    _made: dict[str, str] = field(default_factory=dict)

    @cached_property
    def now(self) -> datetime:
        """The store's time."""
        return self.cron.now()

    @cached_property
    def address(self) -> str:
        """Where the store is, without its password."""
        return self.cron.store.address

    def guess_what_is_out_of_reach(self) -> None:
        """Let this machine's clock count, and no address be known, where the store tells neither."""
        try:
            _ = self.now, self.address
        except CronliteError:
            self.__dict__ |= {"now": datetime.now(timezone.utc), "address": ""}

    @property
    def may_operate(self) -> bool:
        """Whether the visitor may change anything."""
        return self.visitor.may_operate and not self.read_only

    @property
    def actor(self) -> Actor:
        """Who changes what this visit changes."""
        return Actor.called(self.visitor.name, "web")

    @property
    def can_sign_out(self) -> bool:
        """Whether the visitor came by a token."""
        return self.tokens is not None and bool(self.visitor.name)

    # what was asked

    def asked(self, name: str, default: str = "") -> str:
        """Return a field of the query, the last one of that name, without outer blanks."""
        return (self.request.query.get(name) or [default])[-1].strip()

    def given(self, name: str, default: str = "") -> str:
        """Return a field of the form that was sent, the last one of that name."""
        return (self.request.form.get(name) or [default])[-1]

    def all_given(self, name: str) -> list[str]:
        """Return all fields of that name of the form that was sent."""
        return list(self.request.form.get(name, ()))

    # how to answer

    def url(self, path: str, **query: object) -> Markup:
        """Return the URL of a page of the site; what is None or empty is left out of the query."""
        kept = {name: value for name, value in query.items() if value not in (None, "", [], ())}
        asked = f"?{urlencode(kept, doseq=True, errors='replace')}" if kept else ""
        return Markup.escape(f"{quote(self.request.root)}{path}{asked}")

    def page(self, template: str, status: int = 200, **values: Any) -> Answer:
        """Answer with a page made of a template, which knows `visit` and `news` besides the values."""
        news = self._news()
        html = render(template, visit=self, news=news, **values)
        answer = Answer(status=status, body=html.encode("utf-8", "backslashreplace"))
        path = self.cookie_path
        if news is not None:
            answer.with_cookie(TOLD, "", path=path, secure=self.request.secure, seconds=0)
        if self._made:
            answer.with_cookie(forms.COOKIE, self._made["secret"], path=path, secure=self.request.secure)
        return answer

    def see(self, path: str, news: str = "", undo: Undo | None = None, **query: object) -> Answer:
        """Answer a form: go on to a page, which tells what was done and offers to undo it."""
        location = self.url(path, **query).unescape()
        answer = Answer(status=303, headers=[("Location", location)])
        if news:
            taken_back = None if undo is None else [undo.path, {name: list(all_) for name, all_ in undo.fields.items()}]
            cookie = access.signed(self._secret.encode(), [news[:_LONGEST_TOLD], taken_back])
            if len(cookie) > 3_500:  # of a cookie, browsers keep 4 KiB
                cookie = access.signed(self._secret.encode(), [news[:_LONGEST_TOLD], None])
            answer.with_cookie(TOLD, cookie, path=self.cookie_path, secure=self.request.secure, seconds=_TOLD_SECONDS)
        return answer

    def back(self, news: str, undo: Undo | None = None, *, otherwise: str = "/") -> Answer:
        """Answer a form: go on to the page that it was sent from, which is in its field `back`."""
        to = inside(self.given("back")) or self.url(otherwise).unescape()
        path, _, query = to.removeprefix(quote(self.request.root)).partition("?")
        return self.see(path, news, undo, **fields_of(query.encode()))

    @property
    def section(self) -> str:
        """The path of the page in the bar that this one belongs to."""
        path = self.request.path
        return next((at for at in (path, f"{path}s") if any(at == known for known, _ in self.nav)), path)

    @property
    def cookie_path(self) -> str:
        """The path to which the site's cookies are sent: what is mounted elsewhere has no business with them."""
        return quote(self.request.root) or "/"

    @property
    def form_token(self) -> str:
        """What each form of a page has to carry as its field `form_token`."""
        return forms.token(self._secret)

    @property
    def _secret(self) -> str:
        if kept := self.request.cookies.get(forms.COOKIE):
            return kept
        return self._made.setdefault("secret", forms.new_secret())

    def _news(self) -> tuple[str, Undo | None] | None:
        """Return what the last form did, once; the script that refreshes a page takes nothing from anybody."""
        cookie = self.request.cookies.get(TOLD)
        if not cookie or REFRESH in self.request.headers:
            return None
        news = access.unsigned(self._secret.encode(), cookie)
        if not isinstance(news, list) or len(news) != 2:
            return None
        return news[0], None if news[1] is None else Undo(*news[1])
