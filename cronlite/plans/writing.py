"""How are stored schedules written as a file that makes the same ones again?"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from importlib import import_module
from typing import Any

from cronlite.documents import schedules, timing
from cronlite.documents.schedules import Schedule
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.plans.lines import YAML_ENDINGS
from cronlite.plans.reading import FIELDS
from cronlite.when import pattern

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_DEFAULTS = schedules.Schedule(id="none", params={})
_WHEN = (*pattern.FIELDS, "every", "either_day")


def write(owner: str, chosen: Sequence[Schedule], name: str, now: datetime) -> str:
    """Write schedules, each of which has a name, as the text of a file of that name: YAML or else TOML."""
    parts = {schedule.name or schedule.id: fields(schedule, now) for schedule in chosen}
    if not name.lower().endswith(YAML_ENDINGS):
        return _toml(owner, parts)
    try:
        yaml = import_module("yaml")
    except ModuleNotFoundError:
        raise ConfigurationError(f"to write {name}, install PyYAML: pip install pyyaml; or write TOML") from None
    table = {"owner": owner, "schedules": parts}
    return str(yaml.safe_dump(table, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120))


def fields(schedule: Schedule, now: datetime) -> dict[str, Any]:
    """Return the fields of a schedule that are not the default: what a file says of it."""
    document = schedule.document()
    plain = {
        name: document[name]
        for name in FIELDS
        if name in document and name not in _WHEN and getattr(schedule, name) != getattr(_DEFAULTS, name)
    }
    if schedule.active_from is None or schedule.active_from <= now:
        plain.pop("active_from", None)  # since when it counts
    if "params" in plain and _has_null(plain["params"]):
        plain["params"] = json.dumps(plain["params"], ensure_ascii=False)
    return {**_when(schedule), **plain}


def _when(schedule: Schedule) -> dict[str, Any]:
    if schedule.every is not None:
        return {"every": schedule.every}
    own = {name: getattr(schedule, name) for name in pattern.FIELDS}
    line = " ".join(map(str, own.values()))
    try:
        if timing.from_line(line, {}) == {**own, "either_day": schedule.either_day}:
            return {"cron": line}
    except InvalidInput:  # what a document says that no line of a crontab does
        pass
    spelled = {name: value for name, value in own.items() if value != "*"} or {"minute": "*"}
    return {**spelled, **({"either_day": True} if schedule.either_day else {})}


def _has_null(value: Any) -> bool:
    """Tell whether there is a null in a value, which TOML has none of."""
    if isinstance(value, Mapping):
        return any(map(_has_null, value.values()))
    return any(map(_has_null, value)) if isinstance(value, (list, tuple)) else value is None


def _toml(owner: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    lines = [f"owner = {_text(owner)}"]
    for name, values in parts.items():
        lines += ["", f"[schedules.{_key(name)}]", *(f"{field} = {_value(value)}" for field, value in values.items())]
    return "\n".join([*lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(str(key))} = {_value(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value)


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # TOML's escapes are JSON's; of the control characters, JSON leaves this one as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
