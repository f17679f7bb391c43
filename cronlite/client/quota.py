"""How much may one user have stored, and is there room for more?"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NoReturn

from cronlite.daemon.store_clock import steady
from cronlite.documents import checks
from cronlite.errors import Fault, InvalidInput, QuotaExceeded, shown, suggestion

COUNTED_EVERY_SECONDS = 1.0
REFUSED_FOR_SECONDS = 0.2
MOST_REMEMBERED = 10_000
_SHARE_WITHOUT_COUNTING = 100

Count = Callable[[str, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one user may have; None is no limit."""

    schedules: int | None = None
    queued: int | None = None
    params_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Quota:
    """The limits of each user, and those of some by name. Nobody, the user "", is the application and has none."""

    each: Limits = Limits()
    users: Mapping[str, Limits] = field(default_factory=dict)

    @classmethod
    def read(cls, settings: object, place: str = "quota") -> Quota:
        """Read the table of a configuration: schedules, queued, params_bytes, and `users`, a table of these for each.

        Raises InvalidInput with all that is wrong with it. None is no quota.
        """
        if settings is None:
            return cls()
        table = _table(settings, place)
        of_users = _table(table.pop("users", {}), f"{place}.users")
        each = _limits(table, place, Limits())
        own = {user: _table(limits, f"{place}.users.{user}") for user, limits in of_users.items()}
        return cls(each, {user: _limits(limits, f"{place}.users.{user}", each) for user, limits in own.items()})

    def of(self, user: str) -> Limits:
        """Return the limits of a user."""
        return self.users.get(user, self.each) if user else Limits()

    def document(self) -> dict[str, Any]:
        """Return the table that `read` reads."""
        return {**asdict(self.each), "users": {user: asdict(own) for user, own in self.users.items()}}


def _table(table: object, place: str) -> dict[str, Any]:
    if isinstance(table, Mapping) and all(isinstance(name, str) for name in table):
        return dict(table)
    raise InvalidInput(Fault(place, table, "is no table", 'give one, such as {"schedules": 1000, "queued": 10000}'))


def _limits(table: Mapping[str, Any], place: str, otherwise: Limits) -> Limits:
    known = [limit.name for limit in fields(Limits)]
    unknown = [limit for limit in table if limit not in known]
    faults = [Fault(f"{place}.{limit}", table[limit], "is no quota", suggestion(limit, known)) for limit in unknown]
    faults += [
        Fault(f"{place}.{limit}", table[limit], *complaint)
        for limit in known
        if table.get(limit) is not None and (complaint := _WHOLE(table[limit]))
    ]
    if faults:
        raise InvalidInput(*faults)
    return replace(otherwise, **table)


_WHOLE = checks.number(0, 10**12, whole=True)


class Door:
    """Lets in what there is room for.

    The store is asked for a user's count before something is written, no further than the limit, and not each time: up
    to a hundredth of what was left is let in without counting, for at most a second. So a limit is exceeded by no more
    than a hundredth of it, and at least by one, for each other process that writes at the same time.
    """

    def __init__(self, quota: Quota) -> None:
        self.quota = quota
        self._lock = threading.Lock()
        self._left: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()
        self._coming: defaultdict[tuple[str, str], int] = defaultdict(int)

    def params(self, user: str, params: Mapping[str, Any]) -> None:
        """Refuse params that are too large for a user."""
        limit = self.quota.of(user).params_bytes
        if limit is not None and (size := len(json.dumps(params, ensure_ascii=False, default=dict).encode())) > limit:
            raise QuotaExceeded(
                f"params: {size} bytes of JSON are more than the quota of {limit} of user {shown(user)}"
            )

    @contextmanager
    def one_more(self, what: str, user: str, count: Count) -> Iterator[None]:
        """Let one more schedule ("schedules") or queued run ("queued") of a user in, to be written meanwhile."""
        limit: int | None = getattr(self.quota.of(user), what)
        if limit is None:
            yield
            return
        key = (what, user)
        with self._lock:
            self._admit(key, limit, count)
            self._coming[key] += 1
        with self._given_back({key: 1}):
            yield

    @contextmanager
    def more(self, what: str, user: str, count: Count, number: int) -> Iterator[None]:
        """Let so many more of a user in at once, or none of them; they are counted."""
        limit: int | None = getattr(self.quota.of(user), what)
        if limit is None:
            yield
            return
        key = (what, user)
        with self._lock:
            if count(user, limit) + self._coming[key] + number > limit:
                self._refuse(what, user, limit)
            self._coming[key] += number
            self._left.pop(key, None)  # what was let in without counting is counted the next time
        with self._given_back({key: number}):
            yield

    @contextmanager
    def some(self, what: str, wanted: Mapping[str, Sequence[object]], count: Count) -> Iterator[dict[str, int]]:
        """Let some more of each user's in, to be written meanwhile: as many as there is room for, which is said."""
        admitted: dict[str, int] = {}
        with self._lock:
            for user, more in wanted.items():
                limit: int | None = getattr(self.quota.of(user), what)
                key = (what, user)
                there = 0 if limit is None else count(user, limit) + self._coming[key]
                admitted[user] = len(more) if limit is None else max(0, min(len(more), limit - there))
                self._coming[key] += admitted[user]
                self._left.pop(key, None)  # what was let in without counting is counted the next time
        with self._given_back({(what, user): number for user, number in admitted.items()}):
            yield admitted

    @contextmanager
    def _given_back(self, coming: Mapping[tuple[str, str], int]) -> Iterator[None]:
        """Take what is coming off again once it is written, or has failed to be: from then on the store counts it."""
        try:
            yield
        finally:
            with self._lock:
                for key, number in coming.items():
                    self._coming[key] -= number
                    if not self._coming[key]:
                        del self._coming[key]

    def _admit(self, key: tuple[str, str], limit: int, count: Count) -> None:
        what, user = key
        left, until = self._left.get(key, (0, 0.0))
        now = steady()
        if not limit or (not left and now < until):
            self._refuse(what, user, limit)
        if not left or now >= until:
            there = count(user, limit) + self._coming[key]
            left, until = max(0, limit - there), now + COUNTED_EVERY_SECONDS
            if not left:
                self._remember(key, 0, now + REFUSED_FOR_SECONDS)
                self._refuse(what, user, limit)
            left = max(1, left // _SHARE_WITHOUT_COUNTING)
        self._remember(key, left - 1, until if left > 1 else 0.0)

    def _remember(self, key: tuple[str, str], left: int, until: float) -> None:
        self._left[key] = left, until
        self._left.move_to_end(key)
        if len(self._left) > MOST_REMEMBERED:
            self._left.popitem(last=False)

    def _refuse(self, what: str, user: str, limit: int) -> NoReturn:
        things = "schedules" if what == "schedules" else "queued runs"
        remedy = "remove some" if what == "schedules" else "wait until some have run, or cancel some"
        raise QuotaExceeded(f"user {shown(user)} has {limit} {things}, which is the quota; {remedy}")
