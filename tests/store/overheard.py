"""What does a store send to MongoDB?"""

from typing import Any

from pymongo import MongoClient, monitoring

from cronlite.store.mongo import MongoStore

Document = dict[str, Any]


class Commands(monitoring.CommandListener):
    """Remembers what was sent to the server."""

    def __init__(self) -> None:
        self.sent: list[Document] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None: ...

    def failed(self, event: monitoring.CommandFailedEvent) -> None: ...


def overhear(uri: str, commands: Commands) -> MongoStore:
    """Open a store whose commands are remembered."""
    client = MongoClient[Document](uri, event_listeners=[commands], timeoutMS=5_000)
    store = MongoStore(client, client.get_default_database().name, "mongodb:")
    assert store.prepare() == []
    commands.sent.clear()
    return store
