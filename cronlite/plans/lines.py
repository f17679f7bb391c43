"""What does a TOML or YAML file hold, and on which line does each key of it stand?"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from cronlite.errors import ConfigurationError, Fault, InvalidInput

Path = tuple[str, ...]

YAML_ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The table that a file is, and the line on which each of its keys stands."""

    table: Mapping[str, Any]
    lines: Mapping[Path, int] = field(default_factory=dict)

    def line(self, path: Path) -> int:
        """Return the line of a key, or that of the nearest table around it; 0 where none is known."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def parse(data: bytes, name: str) -> Parsed:
    """Parse a file by the ending of its name: YAML or else TOML. Raises InvalidInput and ConfigurationError."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as refused:
        line = data[: refused.start].count(b"\n") + 1
        raise InvalidInput(Fault(f"line {line}", name, "is no UTF-8 text", "save it as UTF-8")) from None
    return _yaml(text, name) if name.lower().endswith(YAML_ENDINGS) else _toml(text, name)


# TOML


def _toml(text: str, name: str) -> Parsed:
    loads = _toml_loads()
    try:
        table = loads(text.replace("\r\n", "\n"))
    except (ValueError, RecursionError) as refused:
        at = re.search(r"\(at line (\d+), column \d+\)", str(refused))
        where = f"line {at[1]}" if at else "the file"
        problem = f"is no TOML: {str(refused).partition(' (at ')[0]}"
        raise InvalidInput(Fault(where, name, problem, "mend the line, or end the file's name in .yaml")) from None
    return Parsed(table, dict(_toml_lines(text, loads)))


def _toml_loads() -> Any:
    try:
        return import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads
    except ModuleNotFoundError:
        raise ConfigurationError("to read TOML under Python 3.10, install tomli: pip install tomli") from None


_HEADER = re.compile(r"\s*\[\[?(.+?)\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"\s*((?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*')(?:\s*\.\s*(?:[\w-]+|\"[^\"\n]*\"|'[^'\n]*'))*)\s*=")


def _toml_lines(text: str, loads: Any) -> Iterator[tuple[Path, int]]:
    """Yield the keys of a TOML text that can be parsed, and their lines; what is in texts of several lines is none."""
    table: Path = ()
    within = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if within:
            within = "" if within in line else within
            continue
        if header := _HEADER.match(line):
            table = _path(header[1], loads) or table
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, *(_path(key[1], loads) or ())), number
        opened = [mark for mark in ('"""', "'''") if line.count(mark) % 2]
        within = opened[0] if opened else ""


def _path(dotted: str, loads: Any) -> Path | None:
    """Return the parts of a dotted key."""
    try:
        loaded = loads(f"{dotted} = 0")
    except ValueError:
        return None
    parts: list[str] = []
    while isinstance(loaded, dict) and loaded:
        ((part, loaded),) = loaded.items()
        parts.append(part)
    return tuple(parts)


# YAML


def _yaml(text: str, name: str) -> Parsed:
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigurationError(f"to read {name}, install PyYAML: pip install pyyaml; or write it as TOML") from None
    try:
        # What is named once and repeated may be a few lines that stand for gigabytes.
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                where = f"line {event.start_mark.line + 1}"
                raise InvalidInput(Fault(where, f"*{event.anchor}", "is an alias", "say defaults: for all schedules"))
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Path, int] = {}
        faults = list(_yaml_faults(node, (), lines, yaml))
        table = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as refused:
        if isinstance(refused, InvalidInput):
            raise
        mark = getattr(refused, "problem_mark", None)
        where = f"line {mark.line + 1}" if mark else "the file"
        problem = " ".join(str(getattr(refused, "problem", None) or refused).split())
        raise InvalidInput(Fault(where, name, f"is no YAML: {problem}", "mend the line")) from None
    if faults:
        raise InvalidInput(*faults)
    return Parsed({} if table is None else table, lines)


def _yaml_faults(node: Any, path: Path, lines: dict[Path, int], yaml: Any) -> Iterator[Fault]:
    """Note the lines of the keys of a mapping, and yield what YAML itself lets pass: a key that comes twice."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inner = (*path, str(key.value))
        line = key.start_mark.line + 1
        if inner in lines:
            yield Fault(f"line {line}", str(key.value), f"is there twice, on line {lines[inner]} as well", "keep one")
        lines[inner] = line
        yield from _yaml_faults(value, inner, lines, yaml)
