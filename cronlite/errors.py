"""Which errors can cronlite raise, and what does each of them say?

The tree::

    CronliteError
    ├── InvalidInput (ValueError)       something given is wrong; nothing was written
    │   └── InvalidExpression           one cron field or line
    ├── ConfigurationError              a URI, an option, a file or an import is wrong
    ├── NotFound (LookupError)          no schedule or run answers to that id or name
    ├── Conflict                        the name is taken, the prefix fits several, the state forbids it
    ├── QuotaExceeded                   one user may have no more of it
    ├── StoreError                      the store refused an operation
    │   ├── StoreUnavailable            the store cannot be reached, or cannot write for now
    │   └── StoreTooSlow                it is there, but one answer took too long
    ├── BrokerUnavailable               the message broker cannot be reached, or takes nothing
    ├── RetryLater                      raised by a handler: again, after so many seconds
    └── GiveUp                          raised by a handler: failed, and no retry will help
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class CronliteError(Exception):
    """Everything that cronlite raises on purpose."""


@dataclass(frozen=True)
class Fault:
    """One thing wrong with one value: which field, what it was, what is wrong, what to do about it."""

    field: str
    value: object
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        # A document from elsewhere may call its field anything.
        field = self.field if len(self.field) <= 60 and self.field.isprintable() else shown(self.field)
        problem = f"{field}: {shown(self.value)} {self.problem}"
        return f"{problem}; {self.remedy}" if self.remedy else problem


class InvalidInput(CronliteError, ValueError):
    """Input refused at the door, with all its faults at once in `faults`."""

    def __init__(self, *faults: Fault) -> None:
        self.faults: tuple[Fault, ...] = faults
        super().__init__("; ".join(map(str, faults)))


class InvalidExpression(InvalidInput):
    """A cron field or line that cannot be read, or can never be due."""


class ConfigurationError(CronliteError):
    """A URI, an option, a configuration file or an import that cannot be used."""


def extra_missing(who_needs: str, extra: str, missing: ImportError) -> ConfigurationError:
    """Return the error for packages that are not installed, with how to install them; `who_needs` ends in a verb."""
    return ConfigurationError(f"{who_needs} the extra '{extra}': pip install 'cronlite[{extra}]' ({missing})")


class NotFound(CronliteError, LookupError):
    """No schedule or run answers to that id or name."""


class Conflict(CronliteError):
    """The request clashes with what the store holds: a taken name, an ambiguous prefix, a finished run."""


class QuotaExceeded(CronliteError):
    """A user has as many schedules or queued runs as the operator allows, or gives larger params."""


class StoreError(CronliteError):
    """The store answered, and refused."""


class StoreUnavailable(StoreError):
    """The store cannot be reached, lets nobody in, or has no room: to try again later may help."""


class StoreTooSlow(StoreError):
    """The store is there, but did not find what was asked for in time: ask for less."""


class BrokerUnavailable(CronliteError):
    """The message broker cannot be reached, takes nothing, or broke off."""


class RetryLater(CronliteError):
    """Raise it in a handler to be called again after `seconds`; it counts as one of the run's retries."""

    def __init__(self, seconds: float, reason: str = "") -> None:
        if type(seconds) not in (int, float) or not 0 <= seconds <= 366 * 86_400:
            raise InvalidInput(Fault("seconds", seconds, "is out of range", "give 0 to 31622400 (366 days)"))
        self.seconds = seconds
        super().__init__(reason or f"retry in {seconds:g} s")


class GiveUp(CronliteError):
    """Raise it in a handler to fail at once, whatever retries are left."""


# A hostile value may take a second to write out in full.
_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = 400
_repr.maxdict = _repr.maxlist = _repr.maxtuple = _repr.maxset = 12


def shown(value: object, limit: int = 60) -> str:
    """Render a value from outside on one line of at most `limit` characters, control characters escaped."""
    try:
        text = _repr.repr(value)
    except Exception as broken:  # noqa: BLE001 - a foreign __repr__ may raise anything
        text = f"<{type(value).__name__} whose repr raises {type(broken).__name__}>"
    text = text.encode("ascii", "backslashreplace").decode() if not text.isprintable() else text
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


# What a terminal obeys, what ends a line to one reader or another, what turns the direction of writing, and halves of
# surrogate pairs, which UTF-8 has no bytes for: C0, DEL and C1, the separators of lines and paragraphs, and the
# bidirectional embeddings, overrides and isolates (UAX 9). Line breaks and tabs are not among them.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """Write out the control characters of a text from outside, but its line breaks and tabs."""
    if text.isprintable():
        return text
    return CONTROL.sub(lambda control: control[0].encode("unicode_escape").decode(), text)


_LONGEST_WORD = 300
FEW = 40  # a schedule has so many fields


def suggestion(word: str, known: Iterable[str]) -> str:
    """Say which of the known words was probably meant, or else name them all (when they are few)."""
    words: Sequence[str] = sorted(known)
    if len(word) > _LONGEST_WORD:  # a likeness would take seconds to find, and none is meant
        return f"give one of {', '.join(words)}" if 0 < len(words) <= FEW else ""
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"give one of {', '.join(words)}" if 0 < len(words) <= FEW else ""
