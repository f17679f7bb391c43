"""What does a configuration file say: the defaults of options, in TOML?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from cronlite.client.configuration import channels_of, parsed, quota_of
from cronlite.errors import ConfigurationError, shown, suggestion

Section = dict[str, Any]
QUOTA = "cronlite.quota"
"""Where the context of a command keeps the [quota] of its file."""
ALARMS = "cronlite.alarms"
"""Where it keeps the [[alarms]]: the channels, with their secrets."""


def load(path: str, group: click.Group, context: click.Context) -> dict[str, Any]:
    """Read a file into a click default map: `uri` and `app` at the top, a table for each command, [quota], [[alarms]].

    Raises ConfigurationError for a file, a key or a value that cannot be used.
    """
    settings = parsed(path)
    if isinstance(settings.get("alarms"), list):
        context.meta[ALARMS] = channels_of(path, settings)
        del settings["alarms"]
    if settings.get("quota") is not None:
        context.meta[QUOTA] = quota_of(path, settings).document()
        del settings["quota"]
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            values[key] = dict(_section(path, key, value, _command(path, group, context, key)))
        else:
            values |= dict(_section(path, "", {key: value}, group))
    return values


def _command(path: str, group: click.Group, context: click.Context, key: str) -> click.Command:
    command = group.get_command(context, key)
    if command is None:
        hint = suggestion(key, group.list_commands(context))
        raise ConfigurationError(f"{path}: [{shown(key)}] is no command; {hint}".rstrip("; "))
    return command


def _section(
    path: str, table: str, values: Mapping[str, Any], command: click.Command
) -> Iterator[tuple[str, bool | str | list[str]]]:
    options = {
        name.lstrip("-"): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value
        for name in option.opts
        if name.startswith("--")
    }
    for key, value in values.items():
        option = options.get(key.replace("_", "-"))
        if option is None or option.name is None:
            of = f"option of {table}" if table else "key"
            hint = suggestion(key.replace("_", "-"), options)
            raise ConfigurationError(f"{path}: {shown(key)} is no {of}; {hint}".rstrip("; "))
        yield option.name, _value(path, key, value, option)


def _value(path: str, key: str, value: Any, option: click.Option) -> bool | str | list[str]:
    """Return a value as click reads it from a command line; a text is checked there."""
    if option.is_flag and isinstance(value, bool):
        return value
    if option.multiple and isinstance(value, list) and all(isinstance(each, str) for each in value):
        return value
    scalar = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if scalar and not option.is_flag and not option.multiple:
        return str(value)
    wanted = "true or false" if option.is_flag else "a list of texts" if option.multiple else "a text or a number"
    raise ConfigurationError(f"{path}: {key} is {shown(value)}; give {wanted}")
