"""Does a form come from a page of this site, and not from another site in the same browser?

Three answers have to agree: where the browser says that it comes from (`Sec-Fetch-Site`, `Origin`), and a token that
only a page of this site can know, since it is made of a cookie that no script reads and no other site sends.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import urlsplit

from cronlite.web.exchange import Request
from cronlite.web.hosts import name_of

COOKIE = "cronlite_form"
FIELD = "form_token"


def new_secret() -> str:
    """Make the value of the cookie."""
    return secrets.token_urlsafe(24)


def token(secret: str) -> str:
    """Make the token of a form; each is another, so that a compressed page gives nothing away."""
    salt = secrets.token_urlsafe(9)
    return f"{salt}.{_mark(secret, salt)}"


def refusal(request: Request) -> str | None:
    """Say why a form is refused; None if it is from here."""
    where = request.headers.get("sec-fetch-site")
    if where not in (None, "same-origin"):
        return "it was sent from another site"
    origin = request.headers.get("origin")
    if origin is None and where is None:
        return "nothing tells which page sent it: send it with a browser, or use the command line or Python instead"
    if origin is not None and not _same(origin, request.headers.get("host", "")):
        return "it was sent from another site"
    secret = request.cookies.get(COOKIE, "")
    token = (request.form.get(FIELD) or [""])[-1]
    salt, _, mark = token.partition(".")
    if not secret or not hmac.compare_digest(mark.encode(), _mark(secret, salt).encode()):
        return "its page is too old, or this browser keeps no cookies: open the page again, and send it from there"
    return None


def _same(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
        named = (parts.hostname or "", parts.port)
        wanted = (name_of(host), urlsplit(f"//{host}").port)
    except ValueError:
        return False
    # Behind a proxy that ends TLS the scheme is another here than there, and so is the port that goes without saying.
    usual = (None, 80, 443)
    return named[0].lower() == wanted[0] and (named[1] == wanted[1] or {named[1], wanted[1]} <= set(usual))


def _mark(secret: str, salt: str) -> str:
    return hmac.new(secret.encode(), salt.encode(), "sha256").hexdigest()
