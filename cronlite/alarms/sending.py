"""How does a message get out, through Apprise, without its secrets getting into logs and lists?"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import unquote, urlsplit

from cronlite.alarms.channels import Channel
from cronlite.errors import ConfigurationError, CronliteError, extra_missing, visible

Send = Callable[[str, str], None]
"""Sends a title and a text; raises ChannelFailed."""
LONGEST_REASON = 300
# In the URLs of other services, a token may stand in the place of the host.
_WITH_HOST = {"json", "jsons", "xml", "xmls", "form", "forms", "mailto", "mailtos"}


class ChannelFailed(CronliteError):
    """A channel did not take a message; its text holds no secret."""


def sender(channel: Channel) -> Send:
    """Return what sends by a channel. Raises ConfigurationError where Apprise is missing, or knows no such URL."""
    try:
        apprise: Any = import_module("apprise")
    except ImportError as missing:
        raise extra_missing("[[alarms]] need", "alarms", missing) from None
    hearing = _hearing()
    with hearing.heard():
        service: Any = apprise.Apprise.instantiate(channel.to, suppress_exceptions=True)
    if service is None:
        problem = f"[[alarms]] {channel.name}: Apprise cannot read its URL; see https://github.com/caronc/apprise/wiki"
        raise ConfigurationError(problem)
    # Stored text is text: never HTML nor Markdown to the service, and never cut into many messages.
    service.notify_format = apprise.NotifyFormat.TEXT
    service.overflow_mode = apprise.OverflowMode.TRUNCATE

    def send(title: str, body: str) -> None:
        with hearing.heard() as reasons:
            try:
                taken = service.notify(body=body, title=title, notify_type=apprise.NotifyType.WARNING)
            except Exception as broken:  # noqa: BLE001 - a plugin of any kind
                reasons.append(f"{type(broken).__name__}: {broken}")
                taken = False
        if not taken:
            raise ChannelFailed(without_secrets(reasons[-1] if reasons else "it did not take the message", channel.to))

    return send


def without_secrets(text: str, uri: str) -> str:
    """Return a line of text with all that an Apprise URL holds left out, but its scheme and the host that it names."""
    scheme, _, rest = uri.partition("://")
    host = urlsplit(f"//{rest}").hostname if scheme.lower() in _WITH_HOST else None
    secrets = {uri, *(piece for piece in _pieces(rest) if piece.lower() != host)}
    line = " ".join(text.split())
    for secret in sorted(secrets, key=len, reverse=True):
        line = line.replace(secret, "…")
    return visible(line)[:LONGEST_REASON]


def _pieces(text: str) -> set[str]:
    for sign in "/@?&=#:,;":
        text = text.replace(sign, " ")
    pieces = set(text.split())
    # Short ones are in every text, as ports and "to" are, and no secret.
    return {piece for whole in pieces for piece in (whole, unquote(whole)) if len(piece) > 4}


# Of Apprise and of what it calls: a filter counts for no logger but its own.
_LOGGERS = ("apprise", "urllib3.connectionpool", "urllib3.util.retry", "requests")


class _Hearing(logging.Filter):
    """Keeps what Apprise logs from all logs, since it may hold a secret, and hands it to who sends in that thread."""

    def __init__(self) -> None:
        super().__init__()
        self._thread = threading.local()

    def heard(self) -> _Heard:
        return _Heard(self._thread)

    def filter(self, record: logging.LogRecord) -> bool:
        reasons = getattr(self._thread, "reasons", None)
        if reasons is None:
            return True  # an application's own use of Apprise
        if record.levelno >= logging.WARNING and record.name == "apprise":
            reasons.append(record.getMessage())
        return False


class _Heard:
    def __init__(self, thread: threading.local) -> None:
        self._thread = thread

    def __enter__(self) -> list[str]:
        reasons: list[str] = []
        self._thread.reasons = reasons
        return reasons

    def __exit__(self, *_: object) -> None:
        self._thread.reasons = None


_only: _Hearing | None = None


def _hearing() -> _Hearing:
    global _only
    if _only is None:
        _only = _Hearing()
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_only)
    return _only
