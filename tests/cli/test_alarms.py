"""What can be typed about alarms, and does a check end as an agent wants it?"""

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from click.testing import CliRunner

from cronlite.cli import cli
from cronlite.client.app import Cronlite
from cronlite.daemon.options import Options
from cronlite.documents import alarms
from cronlite.documents.alarms import Told
from cronlite.documents.ticks import Tick
from cronlite.errors import Conflict, NotFound
from cronlite.store.contract import Store
from tests.alarms.receivers import web_server
from tests.cli.conftest import Typed

NOW = datetime.now(timezone.utc).replace(microsecond=0)


@pytest.fixture
def failed(cron: Cronlite) -> alarms.Alarm:
    """An alarm that was told by mail."""
    alarm = alarms.new(
        "failed",
        "n1",
        "schedule nightly failed: OSError: \x1b[31mit is down",
        now=NOW,
        detail="OSError\nlast lines of output:\n  | three",
        command="cronlite log r1",
        schedule="n1",
        name="nightly",
    )
    cron.store.raise_alarms([alarm, alarms.new("gap", "2026-01-01T00:00Z", "no daemon ticked", now=NOW)])
    cron.store.note_told(alarm, {"mail": Told(told_at=NOW)})
    return alarm


def ticked(store: Store) -> None:
    now = store.now()  # of this moment: a check minds how long ago that was
    store.claim_tick(Tick(minute=now.replace(second=0, microsecond=0), daemon="d", claimed_at=now, done_at=now))


def failing_channel(cron: Cronlite) -> None:
    duty = cron.store.claim_duty("channel:team", "d", NOW, NOW + timedelta(seconds=90))
    assert duty is not None
    error = {"error": "it answered 403", "failing_since": NOW, "failures": 3, "next_at": NOW + timedelta(minutes=2)}
    cron.store.change_duty(duty, error)


def test_alarms_are_listed_shown_and_acknowledged(typed: Typed, cron: Cronlite, failed: alarms.Alarm) -> None:
    people = typed("alarms").stdout
    assert "failed:n1" in people
    assert "told" in people
    assert "\x1b" not in people
    [gap, told] = sorted(typed.json("alarms"), key=lambda one: one["id"], reverse=True)
    assert (told["id"], told["kind"], told["schedule"], told["times"]) == ("failed:n1", "failed", "n1", 1)
    assert set(told["told"]["mail"]) == {"told_at", "times", "cleared"}
    assert gap["id"] == "gap:2026-01-01T00:00Z"
    shown = typed("alarms", "show", "nightly").stdout
    assert "cronlite log r1" in shown
    assert "| three" in shown
    assert typed("alarms", "ack", "nightly", CRONLITE_ACTOR="bob").stdout == "acknowledged failed:n1\n"
    assert typed.json("alarms", "show", "failed:n1")["acked_by"] == "bob"
    assert "acknowledged" in typed("alarms").stdout


def test_what_is_over_is_listed_if_asked_for_and_cannot_be_acknowledged(
    typed: Typed, cron: Cronlite, failed: alarms.Alarm
) -> None:
    cron.store.change_alarm(failed, {"cleared_at": NOW})
    assert [one["id"] for one in typed.json("alarms")] == ["gap:2026-01-01T00:00Z"]
    assert len(typed.json("alarms", "--all")) == 2
    assert "is over already" in typed("alarms", "ack", "failed:n1", code=1).stderr
    assert "no alarm has the id 'x'" in typed("alarms", "show", "x", code=1).stderr


def test_an_application_sees_them_too(cron: Cronlite, failed: alarms.Alarm) -> None:
    assert [one.id for one in cron.alarms.list()] == ["failed:n1", "gap:2026-01-01T00:00Z"]
    assert cron.alarms.get("failed:n1").name == "nightly"
    assert cron.alarms.ack("failed:n1", actor="bob").acked_by == "bob"
    with pytest.raises(NotFound):
        cron.alarms.ack("failed")
    cron.store.change_alarm(failed, {"cleared_at": NOW})
    with pytest.raises(Conflict):
        cron.alarms.ack("failed:n1")


def test_status_and_doctor_name_alarms_and_channels_that_fail(
    typed: Typed, cron: Cronlite, failed: alarms.Alarm
) -> None:
    failing_channel(cron)
    status = typed.json("status", code=1)
    assert {one["id"] for one in status["alarms"]} == {"failed:n1", "gap:2026-01-01T00:00Z"}
    [channel] = status["channels"]
    assert (channel["channel"], channel["failures"], channel["error"]) == ("team", 3, "it answered 403")
    people = typed("status", code=1).stdout
    assert "schedule nightly failed" in people
    assert "team takes no alarms, 3 times since" in people
    [found] = [one for one in typed.json("doctor", code=1) if one["subject"] == "channel team"]
    assert "tried 3 times: it answered 403" in found["problem"]
    [told] = cron.alarms.channels()
    assert (told.id, told.failures) == ("team", 3)


def test_a_check_ends_as_nagios_has_it(typed: Typed, cron: Cronlite, uri: str) -> None:
    assert typed("check", code=2).stdout.startswith("CRONLITE CRITICAL: no minute was ever ticked")
    ticked(cron.store)
    assert typed("check").stdout.startswith("CRONLITE OK: ")
    cron.store.raise_alarms([alarms.new("failed", "n1", "schedule | nightly\nfailed", now=NOW)])
    line = typed("check", code=1).stdout
    assert line.startswith("CRONLITE WARNING: 1 alarms: 1 failed, the last: schedule ¦ nightly failed | daemons=0")
    assert line.count("\n") == 1
    told = typed.json("check", code=1)
    assert (told["code"], told["state"], told["overdue"]) == (1, "WARNING", [])
    assert told["figures"]["alarms"] == 1


def test_a_check_that_cannot_look_says_unknown(tmp_path: Path) -> None:
    typed = Typed("mongodb://127.0.0.1:1/x?serverSelectionTimeoutMS=50&timeoutMS=50")
    assert typed("check", code=3).stdout.startswith("CRONLITE UNKNOWN: ")
    assert typed.json("check", code=3)["figures"] == {}


def test_channels_of_the_configuration_are_tried(typed: Typed, tmp_path: Path, cron: Cronlite) -> None:
    config = tmp_path / "cronlite.toml"
    assert "no channel is configured" in typed("alarms", "test", code=2).stderr
    with web_server() as web:
        web.answers["/s3cret"] = (403, {})
        hooks = "".join(
            f'[[alarms]]\nname = "{name}"\nto = "json://127.0.0.1:{web.port}/{path}"\n'
            for name, path in (("good", "ok"), ("bad", "s3cret"))
        )
        config.write_text(f"uri = '{typed.uri}'\n{hooks}")
        told = typed("--config", str(config), "alarms", "test", code=1)
        assert "good: taken" in told.stdout
        assert "bad: not taken" in told.stdout
        assert "s3cret" not in told.output
        assert typed("--config", str(config), "alarms", "test", "--channel", "good").stdout == "good: taken\n"
    assert [request.place for request in web.received] == ["/ok", "/s3cret", "/ok"]
    config.write_text('[[alarms]]\nto = "json://127.0.0.1/s3cret"\nkind = ["failed"]\n')
    refused = typed("--config", str(config), "list", code=2).stderr
    assert "did you mean 'kinds'?" in refused
    assert "s3cret" not in refused


def test_fields_of_a_schedule_are_added_changed_and_taken_away(typed: Typed) -> None:
    ping = "https://hc-ping.com/5bf66975-d4c7-4bf5-bcc8-b8d8a82ea278"
    typed("add", "--name", "n", "--hour", "2", "--late-after", "5m", "--ping-url", ping)
    shown = typed.json("show", "n")
    assert (shown["late_after_seconds"], shown["ping_url"]) == (300, ping)
    assert "late after" in typed("show", "n").stdout
    typed("edit", "n", "--late-after", "none", "--ping-url", "")
    shown = typed.json("show", "n")
    assert (shown["late_after_seconds"], shown["ping_url"]) == (None, None)
    for wrong in ("ftp://h/", "https://user:pass@h/", "http://", "https://h/\x1b"):
        assert "ping_url" in typed("edit", "n", "--ping-url", wrong, code=2).stderr


@pytest.mark.parametrize("words", [["run"], ["worker", "amqp://guest@127.0.0.1"]])
def test_whoever_runs_a_daemon_or_a_worker_says_when_a_run_is_overdue(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    served: list[Options] = []
    # What serves makes the whole process a daemon's: its logs, and where its handlers are at home.
    monkeypatch.setattr("cronlite.cli.service._serve_one", lambda _, options, **__: served.append(options))
    monkeypatch.setattr("cronlite.daemon.logs.configure", lambda *_, **__: None)
    for asked in (["--late-after", "10m"], ["--late-after", "none"], []):
        done = CliRunner().invoke(cli, ["--uri", "memory:", *words, *asked])
        assert done.exit_code == 0, done.output
    assert [options.late_after_seconds for options in served] == [600, None, None]


def test_an_applications_configuration_has_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cronlite.client.configuration import configured_channels

    assert configured_channels() == ()
    path = tmp_path / "c.toml"
    path.write_text('[[alarms]]\nto = "json://127.0.0.1"\n')
    monkeypatch.setenv("CRONLITE_CONFIG", str(path))
    assert [one.name for one in configured_channels()] == ["json-1"]
    assert json.dumps([repr(one) for one in configured_channels()]).count("127.0.0.1") == 0
