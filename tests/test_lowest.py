"""The lowest versions, which `.ci/run` installs, are those of pyproject.toml."""

from __future__ import annotations

from tests import lowest

WITHOUT_A_FLOOR = {
    "tzdata",  # any will do, and the newest knows the most
    "tomli",  # any reads a settings file
    "types-PyYAML",  # follows PyYAML
    "cronsim",  # an oracle: one version, whose faults the tests know
}


def test_whatever_is_required_has_a_floor() -> None:
    with_a_floor = {constraint.partition("==")[0] for constraint in lowest.constraints()}
    required = {lowest.name_of(requirement) for requirement in lowest.requirements()}
    assert required - with_a_floor == WITHOUT_A_FLOOR


def test_a_floor_is_printed_as_a_constraint() -> None:
    printed = lowest.constraints()
    (pymongo,) = (requirement for requirement in lowest.requirements() if requirement.startswith("pymongo"))
    assert pymongo.replace(">=", "==") in printed
