"""Somebody hands in as a crontab what is none: does the reader end, soon, with each line told?"""

from __future__ import annotations

import random
import time

import pytest

from cronlite.crontab import export, read
from cronlite.errors import CONTROL

PIECES = [
    b"*",
    b"0",
    b"5/",
    b"-",
    b",",
    b" ",
    b"\t",
    b"\n",
    b"\r\n",
    b"\r",
    b"\0",
    b"%",
    b"\\",
    b"#",
    b"#cronlite: name ",
    b"=",
]
PIECES += [
    b"@daily ",
    b"@every ",
    b"CRON_TZ=",
    b"root",
    b"'",
    b'"',
    b"?",
    b"~",
    b"{{",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc2\x85",
]
PIECES += ["\u2028\u202e".encode(), b"\x1b[2J", b"mon-fri", b"0 0 * * * x", b"MAILTO", b"-n "]


@pytest.mark.parametrize("system", [False, True], ids=["of a user", "of the system"])
def test_any_bytes_are_read_and_what_is_taken_can_be_written_back(seed: random.Random, system: bool) -> None:
    for _ in range(400):
        data = b"".join(seed.choices(PIECES, k=seed.randrange(40)))
        plan = read(data, source="x", system=system)
        for refused in plan.refusals:
            assert refused.reason
            assert not CONTROL.search(refused.reason + refused.remedy + refused.text), refused
        written = export([entry.schedule for entry in plan.entries], system=system)
        assert read(written.encode(), source="x", system=system).refusals == [], data
    assert read(seed.randbytes(100_000), source="x", system=system).entries is not None


@pytest.mark.parametrize(
    "part", [b"x", b"%", b"\\", b"\\%", b"* ", b"1,", b"\t", b"a=", b"'", b"#", b"\0", b"\xff", b"@every 1m "]
)
@pytest.mark.parametrize("start", [b"* * * * * ", b"", b"@daily ", b"A=", b"#"])
def test_a_line_of_a_million_bytes_is_read_in_seconds(start: bytes, part: bytes) -> None:
    started = time.process_time()
    read(start + part * (1_000_000 // len(part)), source="x")
    read(start + part * (60_000 // len(part)), source="x")  # short enough to be looked at as a whole
    assert time.process_time() - started < 20


def test_ten_thousand_lines_are_read() -> None:
    assert len(read(b"0\n" * 10_000, source="x").refusals) == 10_000


def test_marks_of_other_systems_change_nothing() -> None:
    plain = read(b"A=1\n0 1 * * * x\n@daily y", source="x").entries
    for data in (b"\xef\xbb\xbfA=1\r\n0 1 * * * x\r\n@daily y\r\n", b"A=1\n\n0 1 * * * x\n\n@daily y\n\n"):
        assert [each.schedule for each in read(data, source="x").entries] == [each.schedule for each in plain]
