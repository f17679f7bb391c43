"""What are the lowest versions that pyproject.toml allows? `python -m tests.lowest` prints them."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

toml = import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
_NAME = re.compile(r"[\w.-]+")
_FLOOR = re.compile(r">=\s*([\w.]+)")


def requirements() -> list[str]:
    """Return what cronlite asks for, and each of its extras."""
    project: dict[str, Any] = toml.loads(PYPROJECT.read_text())["project"]
    extras = [requirement for asked in project["optional-dependencies"].values() for requirement in asked]
    return [
        requirement for requirement in [*project["dependencies"], *extras] if not requirement.startswith("cronlite[")
    ]


def name_of(requirement: str) -> str:
    """Return the name of what is required."""
    found = _NAME.match(requirement)
    assert found, requirement
    return found[0]


def constraints() -> list[str]:
    """Return `name==version` for each requirement with a floor."""
    floors = ((name_of(requirement), _FLOOR.search(requirement)) for requirement in requirements())
    return [f"{name}=={floor[1]}" for name, floor in floors if floor]


if __name__ == "__main__":
    print(*constraints(), sep="\n")
