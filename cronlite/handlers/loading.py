"""Which modules have to be imported for an application's handlers to be registered?"""

from __future__ import annotations

import importlib
import itertools
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from cronlite.errors import ConfigurationError, CronliteError, shown, suggestion
from cronlite.handlers.registry import Registry, default_registry

ENTRY_POINTS = "cronlite.handlers"
_MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")


def load(*targets: str) -> list[Any]:
    """Import applications given as `module[:object]`, so that their handlers get registered; return what they name.

    The working directory is put on the import path. Raises ConfigurationError, in one line.
    """
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    return [_named_by(target) for target in targets]


def load_entry_points(registry: Registry = default_registry) -> list[str]:
    """Import what installed packages offer under the entry point group `cronlite.handlers`.

    An entry point names a module, whose decorators register its handlers, or a function, registered under the entry
    point's name. One that is broken stops nothing: it is left out, and said so in a line of the list returned.
    """
    from importlib import metadata  # takes longer to import than all of cronlite's core

    broken = []
    for entry in metadata.entry_points(group=ENTRY_POINTS):
        try:
            loaded = _named_by(entry.value)
            if not isinstance(loaded, ModuleType):
                registry.add(entry.name, loaded)
        except CronliteError as failed:
            owner = getattr(entry, "dist", None)
            said_by = f" of {owner.metadata['Name']} {owner.version}" if owner else ""
            broken.append(f"entry point {entry.name!r}{said_by}: {failed}")
    return broken


def _named_by(target: str) -> Any:
    module_name, _, path = target.partition(":")
    if not _MODULE.match(module_name) or (":" in target and not _MODULE.match(path)):
        raise ConfigurationError(f"{shown(target)} names no application; give module or module:object")
    named = _imported(module_name)
    for name in path.split(".") if path else ():
        try:
            named = getattr(named, name)
        except AttributeError:
            raise ConfigurationError(f"{module_name!r} has no {path!r}{_meant(name, dir(named))}") from None
    return named


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if missing.name is not None and f"{name}.".startswith(f"{missing.name}."):
            raise ConfigurationError(_not_found(name, missing.name)) from None
        raise ConfigurationError(_import_failed(name, missing)) from missing
    except (Exception, SystemExit) as failed:  # an import runs the application's own code
        raise ConfigurationError(_import_failed(name, failed)) from failed


def _not_found(name: str, missing: str) -> str:
    problem = f"no module named {missing!r} in {Path.cwd()} or on the import path"
    if name.endswith(".py"):
        return f"{problem}; give the module, not the file: {name[:-3]!r}"
    neighbours = itertools.islice((module.name for module in pkgutil.iter_modules([str(Path.cwd())])), 1000)
    return f"{problem}{_meant(missing, neighbours)}"


def _meant(word: str, known: Iterable[str]) -> str:
    close = suggestion(word, known)
    return f"; {close}" if close.startswith("did you mean") else ""  # a list of all that there is helps nobody here


def _import_failed(name: str, failed: BaseException) -> str:
    file, line = getattr(failed, "filename", None), getattr(failed, "lineno", None)  # of a SyntaxError
    if (frames := traceback.extract_tb(failed.__traceback__)) and not (file and line):
        file, line = frames[-1].filename, frames[-1].lineno
    message = traceback.format_exception_only(type(failed), failed)[-1].strip()
    return f"importing {name!r} failed: {_one_line(message)} ({file}:{line})"


def _one_line(text: str) -> str:
    """Put a message on one line of at most 300 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:299]}…"
