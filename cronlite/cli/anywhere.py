"""Which options does every command understand, as the group does before its name?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from cronlite.cli.session import Session

_SAID = (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


class Anywhere(click.Option):
    """An option of the group that is typed behind the command; the help of the group tells of it."""


def give(command: click.Command) -> None:
    """Let a command, and those that it has, understand the options of the group. Once is enough."""
    if any(isinstance(param, Anywhere) for param in command.params):
        return
    command.params += [
        Anywhere(["--uri"], metavar="URI", hidden=True, expose_value=False, callback=_taken),
        Anywhere(["-A", "--app"], metavar="MODULE[:OBJECT]", hidden=True, expose_value=False, callback=_taken),
        Anywhere(["--config"], metavar="FILE", hidden=True, expose_value=False, is_eager=True, callback=_configured),
    ]
    if isinstance(command, click.Group):
        for inner in command.commands.values():
            give(inner)


def _taken(context: click.Context, option: click.Parameter, value: str | None) -> None:
    if value is not None and option.name is not None:
        _set(context, option.name, value, ParameterSource.COMMANDLINE)


def _set(context: click.Context, name: str, value: str, source: ParameterSource) -> None:
    root = context.find_root()
    root.params[name] = value
    root.set_parameter_source(name, source)
    if session := context.find_object(Session):
        setattr(session, name, value)


def _configured(context: click.Context, _: click.Parameter, path: str | None) -> None:
    """Take a file's values for whatever was neither typed nor in the environment."""
    if path is None:
        return
    from cronlite.cli import config

    root = context.find_root()
    group = root.command
    assert isinstance(group, click.Group), "the root is what has commands"
    values: dict[str, Any] = config.load(path, group, root)
    root.default_map = values
    context.default_map = _of(context, values)
    if session := context.find_object(Session):
        session.take(root.meta)
    for name in ("uri", "app"):
        if name in values and root.get_parameter_source(name) not in _SAID:
            _set(context, name, values[name], ParameterSource.DEFAULT_MAP)


def _of(context: click.Context, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the part of a file that is about a command."""
    if context.parent is None:
        return dict(values)
    table = _of(context.parent, values).get(context.info_name or "", {})
    return dict(table) if isinstance(table, Mapping) else {}
