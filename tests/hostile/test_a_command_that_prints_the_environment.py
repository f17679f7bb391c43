"""Does a shell schedule see the passwords of the daemon that runs it?"""

import os

import pytest

from cronlite.handlers.shell import shell_handler


def test_the_addresses_of_store_and_broker_are_not_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CRONLITE_URI", "mongodb://app:secret@host/app")
    monkeypatch.setenv("CRONLITE_DISPATCH", "amqp://app:secret@host")
    monkeypatch.setenv("PLAIN", "seen")
    shell_handler({"command": ["env"], "env": {"CRONLITE_OWN": "given"}})
    told = capfd.readouterr().out.splitlines()
    assert "PLAIN=seen" in told
    assert [line for line in told if line.startswith("CRONLITE_")] == ["CRONLITE_OWN=given"]
    assert os.environ["CRONLITE_URI"].endswith("/app")
