"""In which words are alarms told: however many, in one message that is text and nothing else?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from shlex import quote

from cronlite.alarms.channels import News
from cronlite.documents.alarms import Alarm
from cronlite.errors import visible
from cronlite.when.clock import utc_second

IN_FULL = 5
"""How many alarms are told with all their details; of as many times five, a line each."""
LISTED = 25
LONGEST_BODY = 12_000
LONGEST_TITLE = 200
# What chat services take for a call of everybody, or for a link; stored text is to call nobody.
_CALLS = re.compile(r"@(?=(?:everyone|here|channel|all)\b)|<(?=[!@#])")
_ORDER = ("raised", "again", "over")


def message(address: str, news: Sequence[News], now: datetime) -> tuple[str, str]:
    """Return the title, which is one line, and the text of a message."""
    news = sorted(news, key=lambda each: (_ORDER.index(each.what), -each.alarm.raised_at.timestamp()))
    lines = [line for number, each in enumerate(news[:LISTED]) for line in _of(each, in_full=number < IN_FULL)]
    if more := news[LISTED:]:
        lines += ["", f"… and {len(more)} more: {_counted(more)}"]
    body = "\n".join([*lines, "", f"All of them: cronlite alarms   (store {address}, {utc_second(now)})"])
    return _harmless(_title(news, address))[:LONGEST_TITLE], _harmless(visible(body))[:LONGEST_BODY]


def detail(parts: Sequence[str]) -> str:
    """Join the parts of a detail that are there."""
    return "\n".join(part for part in parts if part)


def tail(output: str | None, lines: int = 10, characters: int = 1_500) -> str:
    """Return the last lines of an output, marked as such, and nothing for none."""
    kept = (output or "").rstrip()[-characters:].splitlines()[-lines:]
    return "\n".join(["last lines of output:", *(f"  | {line}" for line in kept)]) if kept else ""


def _title(news: Sequence[News], address: str) -> str:
    if len(news) == 1:
        [only] = news
        prefix = {"raised": "", "again": "still: ", "over": "over: "}[only.what]
        return visible(f"cronlite: {prefix}{only.alarm.title}")
    return visible(f"cronlite: {len(news)} alarms: {_counted(news)} ({address})")


def _counted(news: Sequence[News]) -> str:
    counts = Counter(f"{_kind(each.alarm)}{'' if each.what == 'raised' else f' ({each.what})'}" for each in news)
    return ", ".join(f"{count} {what}" for what, count in counts.most_common())


def _kind(alarm: Alarm) -> str:
    return alarm.kind.replace("_", " ")


def _of(news: News, *, in_full: bool) -> Iterator[str]:
    alarm = news.alarm
    mark = {"raised": "", "again": "still: ", "over": "over: "}[news.what]
    yield f"{mark}{alarm.title}"
    span = f"  since {utc_second(alarm.since_at)}"
    if alarm.cleared_at is not None:
        span += f" until {utc_second(alarm.cleared_at)}"
    if alarm.times > 1:
        span += f", {alarm.times} times, last at {utc_second(alarm.last_at)}"
    yield span
    if in_full and news.what != "over":
        yield from (f"  {line}" for line in alarm.detail.splitlines())
    if alarm.command and news.what != "over":
        yield f"  more: {alarm.command}"
    if in_full and alarm.is_open:
        yield f"  to be told no more of it: cronlite alarms ack {quote(alarm.id)}"


def _harmless(text: str) -> str:
    """Put something between a sign and the word that together would call people."""
    return _CALLS.sub(lambda mention: mention[0] + "\u200b", text)
