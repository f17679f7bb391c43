"""Params and results: what is stored comes back as it was, and the rest is refused with its place named."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from cronlite.documents import checks
from cronlite.errors import InvalidInput


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {}
    for _ in range(depth):
        inner = {"a": inner}
    return inner


def cyclic() -> dict[str, Any]:
    made: dict[str, Any] = {}
    made["self"] = made
    return made


def test_json_is_kept_as_it_is() -> None:
    params = {"a": [1, 2.5, None, True, "ü", {"b": []}], "": "empty key", "n": -(2**63)}
    assert checks.check_params(params) == params


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ([1], "params: .* is not an object"),
        ("{}", "is not an object"),
        ({"a": float("nan")}, "params.a: nan is not a JSON number"),
        ({"a": [1, float("inf")]}, r"params.a\[1\]: inf"),
        ({"a": 2**63}, "outside 64 bits"),
        ({"$where": "1"}, "starts with"),
        ({"a": {"b.c": 1}}, "holds a dot"),
        ({"a\0": 1}, "NUL"),
        ({"a": "\ud800"}, "surrogate"),
        ({1: 2}, "as a key is not a string"),
        ({"a": datetime.now(timezone.utc)}, "is a datetime, not JSON"),
        ({"a": {1, 2}}, "is a set, not JSON"),
        ({"a": b"x"}, "is a bytes, not JSON"),
        (nested(200), "nested deeper"),
        (cyclic(), "contains itself"),
        ({"a": "x" * 16_000_000}, "16000009 bytes of JSON, more than"),
    ],
)
def test_what_cannot_be_stored_is_refused_by_name(params: Any, complaint: str) -> None:
    with pytest.raises(InvalidInput, match=complaint) as refused:
        checks.check_params(params)
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 1_000


def test_all_faults_are_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        checks.check_params({"$a": 1, "b": float("nan"), "c": 2**70})
    assert len(refused.value.faults) == 3


@pytest.mark.parametrize("result", [None, 1, "x", [1, {"a": None}], {"deep": [[[]]]}])
def test_a_small_json_result_is_kept(result: object) -> None:
    assert checks.storable(result) == result


@pytest.mark.parametrize("result", [float("nan"), {1, 2}, cyclic(), "x" * 20_000_000, object(), b"x", {"a.b": 1}])
def test_any_other_result_becomes_a_marker(result: object) -> None:
    marker = checks.storable(result)
    assert list(marker) == ["not_stored"]
    assert len(marker["not_stored"]) < 300
