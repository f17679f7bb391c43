"""What cronlite logs never harms what it reports on, whatever an application's logging does with it."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from cronlite.logger import logger


class Raising(logging.Handler):
    """A handler as an application may write it: it raises, and so does its filter, if asked to."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


@pytest.fixture
def raising(request: pytest.FixtureRequest) -> Iterator[Raising]:
    handler = Raising(request.param)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.mark.parametrize("raising", [OSError("disk full"), RecursionError(), SystemExit(1)], indirect=True, ids=repr)
def test_a_handler_that_raises_ends_nothing(raising: Raising) -> None:
    log = logger("cronlite.daemon")
    log.warning("one %s", "two")
    try:
        raise ValueError("a fault")
    except ValueError:
        log.exception("three")
    log.log(logging.WARNING, "four")
    with pytest.raises(type(raising.error)):  # the application's own logging is its own affair
        logging.getLogger("cronlite.daemon").warning("five")


def test_a_record_tells_the_place_of_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    logger("cronlite.daemon").warning("here %d", 5)
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("cronlite.daemon", "here 5")


def test_a_level_that_an_application_sets_counts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "cronlite.daemon"):
        logger("cronlite.daemon").warning("not told")
    assert caplog.records == []
