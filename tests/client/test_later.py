"""What comes in a later version is refused today, and says so: it would be a restriction that nobody keeps."""

from __future__ import annotations

import pytest

from cronlite.client.app import Cronlite
from cronlite.documents import schedules
from cronlite.errors import InvalidInput

FIELDS = [("not_on", "de-holidays"), ("only_on", "workdays"), ("shift", "next"), ("max_runs", 3)]


@pytest.mark.parametrize(("name", "value"), FIELDS)
def test_fields_that_come_in_a_later_version_are_refused_everywhere(name: str, value: object) -> None:
    with Cronlite("memory:") as cron:
        cron.schedule(name="n")
        with pytest.raises(InvalidInput, match=f"{name}.*later version"):
            cron.schedule(**{name: value})  # type: ignore[arg-type]
        with pytest.raises(InvalidInput, match=f"{name}.*later version"):
            cron.update("n", **{name: value})  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match=f"{name}.*later version"):
        schedules.read({"_id": "elsewhere", "params": {}, name: value})


@pytest.mark.parametrize("given", [{"minute": "~"}, {"minute": "5~35"}, {"hour": "~"}, {"cron": "~ 2 * * *"}])
def test_spread_in_a_field_is_refused_everywhere(given: dict[str, str]) -> None:
    with Cronlite("memory:") as cron, pytest.raises(InvalidInput, match="later version"):
        cron.schedule(**given)  # type: ignore[arg-type]
