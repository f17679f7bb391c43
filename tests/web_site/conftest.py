"""A site over a store in memory, and a browser without a screen that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import cronlite
from tests.web_site.asking import Browser, an_empty_cron


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with an_empty_cron() as opened:
        yield opened


@pytest.fixture
def browser(cron: cronlite.Cronlite) -> Browser:
    return Browser(cron)
