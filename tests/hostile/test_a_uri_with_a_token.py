"""An operator's URI holds a password, or a token in the place of a user: nothing that is said shows it."""

from __future__ import annotations

import pytest

from cronlite.dispatch.amqp import Publisher
from cronlite.errors import BrokerUnavailable, ConfigurationError
from cronlite.store import open_store

TOKEN = "s3cretT0ken"


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        (f"amqp://{TOKEN}@127.0.0.1:1//", "amqp://…@127.0.0.1:1//"),
        (f"amqp://:{TOKEN}@127.0.0.1:1//", "amqp://:…@127.0.0.1:1//"),
        (f"amqp://alice:{TOKEN}@127.0.0.1:1/app", "amqp://alice:…@127.0.0.1:1/app"),
        (f"amqp://alice:{TOKEN}@127.0.0.1:1/app?heartbeat=5", "amqp://alice:…@127.0.0.1:1/app"),
        (f"amqp://a:{TOKEN}@127.0.0.1:1//;amqp://b:{TOKEN}@127.0.0.1:2//", "amqp://a:…@127.0.0.1:1//"),
    ],
)
def test_no_error_of_a_broker_shows_it(uri: str, told: str) -> None:
    with Publisher(uri) as publisher, pytest.raises(BrokerUnavailable) as down:
        publisher.waiting("reports")
    assert TOKEN not in str(down.value)
    assert str(down.value).startswith(told)


def test_what_a_broker_says_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionError(f"access refused for user '{TOKEN}'")

    with Publisher(f"amqp://{TOKEN}@127.0.0.1:1//") as publisher:
        monkeypatch.setattr(publisher, "_connect", refuse)
        with pytest.raises(BrokerUnavailable, match="access refused for user '…") as down:
            publisher.waiting("reports")
    assert TOKEN not in str(down.value)


@pytest.mark.parametrize("uri", [f"amqp://{TOKEN}/x@host//", f"amqp://alice:{TOKEN}/x@host//", f"amqp://a:{TOKEN}?@h/"])
def test_one_that_is_not_escaped_is_not_shown_either(uri: str) -> None:
    try:
        told = Publisher(uri).address
    except ConfigurationError as refused:
        told = str(refused)
    assert TOKEN not in told


@pytest.mark.parametrize(
    "uri", [f"mongodb://{TOKEN}@127.0.0.1:1/app?authMechanism=MONGODB-X509", f"mongodb://alice:{TOKEN}@127.0.0.1:1/app"]
)
def test_no_address_of_a_store_shows_it(uri: str) -> None:
    store = open_store(uri)
    assert TOKEN not in store.address
    assert "127.0.0.1:1/app" in store.address
    store.close()
