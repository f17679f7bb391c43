"""Who counts what a daemon does: nobody, or figures that are served to Prometheus?"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cronlite.daemon.options import Options
from cronlite.handlers.registry import Registry
from cronlite.metrics.figures import NOBODY, Figures, Levels
from cronlite.metrics.loading import load
from cronlite.store.contract import Store

if TYPE_CHECKING:
    from cronlite.metrics.endpoint import Endpoint
    from cronlite.metrics.exposition import Exposition


class Measured:
    """The figures of one daemon, and where they are served; without `options.metrics`, nothing.

    Raises ConfigurationError where prometheus-client is missing.
    """

    figures: Figures = NOBODY
    exposition: Exposition | None = None
    endpoint: Endpoint | None = None

    def __init__(self, store: Store, registry: Registry, options: Options, levels: Callable[[], Levels]) -> None:
        if options.metrics is None:
            return
        serving, counting = load("endpoint"), load("counts")
        self.figures = counts = counting.Counts(registry, options.queues or ())
        self.exposition = serving.Exposition(store, counts=counts, levels=levels)
        self.endpoint = serving.Endpoint(options.metrics, self.exposition)

    def start(self) -> None:
        """Serve them. Raises ConfigurationError where the address cannot be had."""
        if self.endpoint:
            self.endpoint.start()

    def close(self) -> None:
        """Serve them no more."""
        if self.endpoint:
            self.endpoint.close()
