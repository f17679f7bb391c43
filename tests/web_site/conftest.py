"""A site over a store in memory, and a browser without a screen that asks it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import cronlite
from cronlite.handlers.registry import Registry
from tests.web_site.asking import Browser


@pytest.fixture
def cron() -> Iterator[cronlite.Cronlite]:
    with cronlite.Cronlite("memory:", registry=Registry()) as opened:
        opened.store.prepare()
        yield opened


@pytest.fixture
def browser(cron: cronlite.Cronlite) -> Browser:
    return Browser(cron)
