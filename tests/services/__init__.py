"""What becomes of a test whose real server this machine cannot run?"""

import os
from typing import NoReturn

import pytest


class MissingService(Exception):
    """This machine cannot run the server; the message says what it lacks."""


class ServiceFailed(Exception):
    """The server is here, but did not do as it was told; the message ends with its log."""


def skip_or_fail(missing: MissingService) -> NoReturn:
    """Skip on a laptop; fail under CRONLITE_TEST_REQUIRE_SERVICES=1 (`.ci/run`): a skipped test proves nothing."""
    if os.environ.get("CRONLITE_TEST_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{missing} (CRONLITE_TEST_REQUIRE_SERVICES=1)", pytrace=False)
    pytest.skip(str(missing))
