"""Does what a worker reports of a test reach the session, whatever stands in it?"""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone

import execnet
import pytest

from tests.conftest import in_utf8

HOUR = timedelta(hours=1)


def test_half_a_surrogate_pair_in_a_report_ends_no_worker() -> None:
    report = {
        "longrepr": {"reprcrash": ["half \ud800", 3, None]},
        "sections": [("Captured stdout", "\udfff")],
        "\ud800": 1,
    }
    sent = execnet.loads(execnet.dumps(in_utf8(report)))
    assert sent["longrepr"] == {"reprcrash": ["half \\ud800", 3, None]}
    assert sent["sections"] == [("Captured stdout", "\\udfff")]


@pytest.mark.xdist_group("here")
def test_what_is_marked_as_a_group_stays_with_one_worker(request: pytest.FixtureRequest) -> None:
    """Else each worker would start a broker of its own, and tests that share a project would meet in two processes."""
    is_worker = hasattr(request.config, "workerinput")
    assert not is_worker or request.node.nodeid.endswith("@here")


def test_no_tests_name_tells_the_time(request: pytest.FixtureRequest) -> None:
    """Else workers that collect before and after the end of a minute know different tests, and none is run."""
    now = datetime.now(timezone.utc)
    hours = [f"{instant:%Y-%m-%d}{between}{instant:%H}" for instant in (now - HOUR, now) for between in "T "]
    assert [item.nodeid for item in request.session.items if any(hour in item.nodeid for hour in hours)] == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_what_a_shell_or_nohup_lets_the_tests_ignore_is_heard_by_what_they_start(name: str) -> None:
    ends_of_itself = "import os, signal; os.kill(os.getpid(), signal.{0}); print('it was ignored')"
    hidden = "import signal; signal.signal(signal.{0}, signal.SIG_IGN); from tests.conftest import pytest_configure;"
    start = "pytest_configure(); import subprocess, sys; subprocess.run([sys.executable, '-c', {1!r}])"
    child = ends_of_itself.format(name)
    told = subprocess.run(
        [sys.executable, "-c", f"{hidden} {start}".format(name, child)], capture_output=True, text=True, check=True
    )
    assert "ignored" not in told.stdout
