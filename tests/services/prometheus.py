"""How do tests get a real Prometheus? The system's, started alone on loopback, with a folder of its own."""

from __future__ import annotations

import json
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.services import MissingService
from tests.services.process import Server, listens

SCRAPE_SECONDS = 0.25
CONFIG = """\
global: {{scrape_interval: {every}, scrape_timeout: {every}, evaluation_interval: {every}}}
rule_files: [{rules}]
scrape_configs:
  - job_name: cronlite
    static_configs: [{{targets: ["127.0.0.1:{target}"]}}]
"""


def tool(name: str) -> str:
    """Return where `prometheus` or `promtool` is. Raises MissingService."""
    found = shutil.which(name)
    if found is None:
        raise MissingService(f"{name} is not installed: apt-get install --no-install-recommends prometheus")
    return found


class Prometheus(Server):
    """A Prometheus that scrapes one port of this machine a few times a second, and keeps some rules."""

    name = "prometheus"

    def __init__(self, target: int, rules: Path) -> None:
        super().__init__()
        self._binary, self._target, self._rules = tool("prometheus"), target, rules

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the series that an expression gives at this moment, each with `metric` and `value`."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as refused:
            with refused:
                raise AssertionError(f"{expression}: {refused.read().decode()}") from None
        return found

    def value(self, expression: str) -> float | None:
        """Return the value of the one series that an expression gives, None without one."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def _command(self) -> Sequence[str | Path]:
        config = self.folder / "prometheus.yml"
        every = f"{round(1_000 * SCRAPE_SECONDS)}ms"
        config.write_text(CONFIG.format(every=every, rules=self._rules, target=self._target))
        options = {"config.file": config, "storage.tsdb.path": self.folder / "data"}
        options["web.listen-address"] = Path(f"127.0.0.1:{self.port}")
        return [self._binary, *(f"--{name}={value}" for name, value in options.items())]

    def _is_ready(self) -> bool:
        return listens(self.port) and _answers(f"http://127.0.0.1:{self.port}/-/ready")


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
