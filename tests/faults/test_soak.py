"""Rounds of random faults of all kinds at once; by hand as many as one likes: `python -m tests.faults.soak`."""

from __future__ import annotations

import random

import pytest

from tests.faults import soak
from tests.services.mongod import Mongod


@pytest.mark.slow
@pytest.mark.parametrize("store", ["mongod", "sqlite"])
def test_a_round_of_the_soak(mongod: Mongod, seed: random.Random, store: str) -> None:
    soak.one_round(seed, 10, sqlite=store == "sqlite")
