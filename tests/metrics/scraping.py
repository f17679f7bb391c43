"""How does a test scrape a daemon, and read what it says?"""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from cronlite.daemon.loops import Daemon

Labels = frozenset[tuple[str, str]]


def scraped(port: int) -> str:
    """Return what a daemon of this machine answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def port_of(daemon: Daemon) -> int:
    """Return the port at which a daemon of this process is scraped."""
    assert daemon.measured.endpoint
    return daemon.measured.endpoint.port


class Samples:
    """The samples of a scrape."""

    def __init__(self, text: str) -> None:
        self.values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @classmethod
    def of(cls, daemon: Daemon) -> Samples:
        return cls(scraped(port_of(daemon)))

    def value(self, name: str, **labels: str) -> float | None:
        """Return the value of one series, None if there is no such series."""
        return self.values.get((name, frozenset(labels.items())))

    def names(self, prefix: str = "cronlite_") -> set[str]:
        return {name for name, _ in self.values if name.startswith(prefix)}

    def labels(self, name: str, label: str) -> set[str]:
        """Return the values that a label has in the series of a name."""
        return {dict(labels)[label] for found, labels in self.values if found == name}
