"""How does Django serve the site? It says who asks, and by which name; the rest is the site's own."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from cronlite.contrib.django.project import current
from cronlite.web import incomplete

try:
    from cronlite.web.access import Visitor
    from cronlite.web.exchange import FORM, MAX_BODY_BYTES, Answer, Request, fields_of
    from cronlite.web.serving import Pages
except ModuleNotFoundError as missing:
    raise incomplete(missing) from None


@csrf_exempt  # the site's forms have a token of its own, and it looks at their origin as well
def pages(request: HttpRequest, path: str = "") -> Any:
    """Answer with a page of the site, for staff; others are sent to log in."""
    user = request.user
    if not (user.is_active and user.is_staff):
        return redirect_to_login(request.get_full_path())
    if request.method == "POST" and request.content_type != FORM:
        return HttpResponse("Send a form.\n", status=415, content_type="text/plain")
    if len(request.body) > MAX_BODY_BYTES:
        return HttpResponse(f"A form may take {MAX_BODY_BYTES} bytes.\n", status=413, content_type="text/plain")
    try:
        asked = _request(request, path)
    except ValueError:
        return HttpResponse("That has too many fields.\n", status=400, content_type="text/plain")
    return _response(_pages().answer(asked, Visitor(user.get_username(), user.has_perm("cronlite.operate"))))


@lru_cache(maxsize=1)
def _pages() -> Pages:
    return Pages(current(), names=None)  # Django has looked at them, by ALLOWED_HOSTS


def _request(request: HttpRequest, path: str) -> Request:
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Request(
        method=request.method,
        path=f"/{path}",
        root=request.path.removesuffix(path).rstrip("/"),
        query=fields_of(request.META.get("QUERY_STRING", "").encode()),
        form=fields_of(request.body) if request.method == "POST" else {},
        headers=headers | {"host": request.get_host()},
        client=request.META.get("REMOTE_ADDR", ""),
        secure=request.is_secure(),
    )


def _response(answer: Answer) -> Any:
    answer = answer.at_once()  # under WSGI, each stream would keep a thread, or a whole worker
    response = HttpResponse(answer.body, status=answer.status, content_type=answer.kind)
    for name, value in answer.headers:
        if name == "Set-Cookie":
            response.cookies.load(value)
        else:
            response[name] = value
    return response
