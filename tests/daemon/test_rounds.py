"""A loop that does not do its work is told of, with the reason and since when; the log is not flooded with it."""

from __future__ import annotations

import pytest

from cronlite.daemon import rounds
from cronlite.daemon.rounds import Rounds
from cronlite.daemon.store_clock import StoreClock
from cronlite.errors import StoreError, StoreUnavailable
from tests.daemon.conftest import Steady


@pytest.fixture
def kept(steady: Steady) -> Rounds:
    found = Rounds("memory:", StoreClock())
    found.begin("tick")
    found.begin("claim")
    return found


def test_nothing_is_wrong_while_rounds_go_well(kept: Rounds, steady: Steady) -> None:
    for _ in range(50):
        steady.seconds += 60
        kept.went_well("tick")
        kept.went_well("claim")
    assert (kept.trouble(), kept.is_hopeless()) == ("", False)


def test_a_loop_that_fails_again_and_again_is_told_with_the_reason_and_since_when(kept: Rounds, steady: Steady) -> None:
    kept.went_well("tick")
    since = kept._clock.now()
    kept.failed("tick", StoreError("memory: refused: BSON document too large"))
    kept.failed("claim", ValueError("odd\nline"))
    assert kept.trouble() == ""  # a fail-over of the store is over before that
    steady.seconds += rounds.FAILING_SECONDS
    told = f"{since:%Y-%m-%d %H:%M:%S}Z"
    assert kept.trouble() == (
        f"it has not ticked since {told}: memory: refused: BSON document too large; "
        f"its claim loop has done nothing since {told}: ValueError: odd\\nline"
    )


def test_one_good_round_ends_the_trouble(kept: Rounds, steady: Steady) -> None:
    kept.failed("tick", StoreError("no"))
    steady.seconds += 500
    assert kept.is_hopeless()
    kept.went_well("tick")
    kept.went_well("claim")
    assert (kept.trouble(), kept.is_hopeless()) == ("", False)


def test_a_round_without_an_end_is_told_too(kept: Rounds, steady: Steady) -> None:
    steady.seconds += rounds.HOPELESS_SECONDS
    kept.went_well("claim")
    assert "it has not ticked since" in kept.trouble()
    assert "has not come to its end" in kept.trouble()
    assert kept.is_hopeless()


def test_there_is_hope_while_the_store_is_out_of_reach(kept: Rounds, steady: Steady) -> None:
    kept.failed("tick", StoreUnavailable("memory: cannot be reached"))
    kept.failed("claim", StoreUnavailable("memory: cannot be reached"))
    steady.seconds += 10_000
    assert "cannot be reached" in kept.trouble()
    assert not kept.is_hopeless()


def test_nothing_is_expected_of_a_loop_that_has_ended(kept: Rounds, steady: Steady) -> None:
    kept.end("tick")
    kept.end("claim")
    steady.seconds += 10_000
    kept.failed("tick", StoreError("no"))  # the last tick of a stop
    assert (kept.trouble(), kept.is_hopeless()) == ("", False)


def test_the_log_hears_once_that_the_store_fails_and_once_that_it_is_back(
    kept: Rounds, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        kept.failed("tick", StoreError("no"))
        kept.failed("claim", StoreError("no"))
    kept.went_well("tick")
    assert caplog.text.count("fails") == 1
    assert "answers again" not in caplog.text
    kept.went_well("claim")
    assert caplog.text.count("answers again") == 1
