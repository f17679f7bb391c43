"""Which commands do the messages of this package tell people to type?

They are read off the source: a text in quotes that begins with `cronlite `, or what stands behind a colon at the end of
a text. What a message fills in, and words in capitals, are replaced by what is in the store of the test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import cronlite

PACKAGE = Path(cronlite.__file__).parent
_QUOTED = re.compile(r"'(cronlite [^']+)'")
_AT_THE_END = re.compile(r": (cronlite [^';(]+?)(?:\s+\(.*)?$", re.DOTALL)
# The expressions in f-strings, by what they stand for.
_FILLED_IN = {
    "schedule": re.compile(r"schedule|\bid_\b|_name\(|there\[|^ref$"),
    "run": re.compile(r"run\.id|last\.id"),
    "freeze": re.compile(r"freeze|by\.id"),
    "limit": re.compile(r"limit|^name$"),
    "queue": re.compile(r"queue"),
    "alarm": re.compile(r"alarm"),
}


def remedies() -> dict[str, str]:
    """Return the commands, each with one place that it stands at; names in braces are to be filled in."""
    return {command: place for path in sorted(PACKAGE.rglob("*.py")) for command, place in _of(path)}


def _of(path: Path) -> Iterator[tuple[str, str]]:
    source = path.read_text()
    if "'cronlite " not in source and ": cronlite " not in source:
        return
    tree = ast.parse(source)
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    docstrings = {id(node.body[0].value) for node in ast.walk(tree) if _is_documented(node)}  # type: ignore[attr-defined]
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(_part(part) for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside | docstrings:
            text = node.value
        else:
            continue
        for found in (*_QUOTED.findall(text), *_AT_THE_END.findall(text)):
            yield found, f"{path.relative_to(PACKAGE)}:{node.lineno}"


def _is_documented(node: ast.AST) -> bool:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return isinstance(node, kinds) and ast.get_docstring(node) is not None


def _part(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    told = ast.unparse(part.value if isinstance(part, ast.FormattedValue) else part)
    return next((f"{{{name}}}" for name, known in _FILLED_IN.items() if known.search(told)), "{unknown}")


def filled_in(command: str, there: Mapping[str, str]) -> list[str]:
    """Return the words behind `cronlite`, each name in braces or in capitals replaced by what there is."""
    words = re.findall(r'"[^"]*"|\S+', command)[1:]
    return [_word(word, there) for word in words]


def _word(word: str, there: Mapping[str, str]) -> str:
    if word.isupper() and word.isalpha():
        return there[word]
    return re.sub(r"\{(\w+)\}", lambda name: there[name[1]], word.strip('"'))
