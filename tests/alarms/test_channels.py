"""Do real channels get alarms as text, and does nothing of their URLs show anywhere?"""

import logging
import re
import sys
from datetime import datetime, time, timezone
from importlib import import_module
from pathlib import Path

import pytest

from cronlite.alarms.channels import News, Quiet, read_channels
from cronlite.alarms.messages import message
from cronlite.alarms.sending import ChannelFailed, sender, without_secrets
from cronlite.daemon.alarming import Alarming
from cronlite.documents import alarms
from cronlite.errors import ConfigurationError, InvalidInput
from cronlite.store.contract import Store
from tests.alarms.receivers import mail_server, web_server
from tests.alarms.told import Night
from tests.store.samples import NOW

HOSTILE = "<b>x</b>\r\nBcc: eve@example.com\x1b[2J @everyone <!channel>"


def of_hostile() -> alarms.Alarm:
    return alarms.new("failed", "s", f"schedule {HOSTILE} failed", now=NOW, detail=HOSTILE, command="cronlite log s")


def test_mail_is_text_without_html_and_no_stored_text_is_a_header() -> None:
    title, body = message("memory:", [News(of_hostile(), "raised", None)], NOW)
    with mail_server() as (box, port):
        [channel] = read_channels([{"to": f"mailto://127.0.0.1:{port}?from=cron@example.com&to=ops@example.com"}])
        sender(channel)(title, body)
    [mail] = box.mails
    assert mail["Bcc"] is None
    assert "eve@example.com" not in str(mail["To"])
    assert [part.get_content_type() for part in mail.walk() if not part.is_multipart()] == ["text/plain"]
    text = mail.get_content()
    assert "<b>x</b>" in text, "as it was written, and read by nobody as HTML"
    assert "\x1b" not in text
    assert "more: cronlite log s" in text
    assert "@everyone" not in text
    assert "<!channel>" not in text


def test_a_webhook_gets_what_which_since_when_and_what_shows_more(store: Store) -> None:
    with web_server() as web:
        night = Night(store)
        settings = {"name": "team", "to": f"json://127.0.0.1:{web.port}/hook"}
        night.watchers = [Alarming(store, night.clock, read_channels([settings]))]
        night.schedule(handler="extract")
        night.fails(output="\n".join(f"line {number}" for number in range(30)))
        night.pass_(seconds=40)
    [request] = web.received
    assert request.json["title"] == "cronlite: schedule nightly failed: OSError: it is down"
    body = request.json["message"]
    for part in ("since 2026-11-21 02:30:01Z", "handler extract", "| line 29", "cronlite log nightly/failed"):
        assert part in body
    assert "line 19" not in body


def test_a_channel_that_refuses_says_so_without_its_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with web_server() as web:
        web.answers["/secrettoken/hook"] = (403, {})
        to = f"json://robot:passw0rd!@127.0.0.1:{web.port}/secrettoken/hook"
        [channel] = read_channels([{"to": to}])
        with pytest.raises(ChannelFailed) as refused:
            sender(channel)("title", "body")
    assert "403" in str(refused.value)
    shown = f"{refused.value} {channel!r} {caplog.text}"
    for secret in ("passw0rd", "secrettoken", "robot"):
        assert secret not in shown


def test_a_channel_that_nobody_serves_fails() -> None:
    with web_server() as web:
        port = web.port
    [channel] = read_channels([{"to": f"json://127.0.0.1:{port}"}])
    with pytest.raises(ChannelFailed):
        sender(channel)("title", "body")


@pytest.mark.parametrize(
    ("text", "uri", "shown"),
    [
        ("cannot reach xoxb-123456", "slack://xoxb-123456/T0/B0", "cannot reach …"),
        ("POST https://h/p?key=s%40cret", "json://h/p?key=s%40cret", "POST https://h/p?key=…"),
        ("host example.com is down", "mailto://bob:secret1@example.com", "host example.com is down"),
    ],
)
def test_what_a_url_holds_is_left_out_of_reasons(text: str, uri: str, shown: str) -> None:
    assert without_secrets(text, uri) == shown


def test_the_channels_that_the_readme_shows_can_be_read() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    [block] = [one for one in re.findall(r"```toml\n(.*?)```", readme, re.S) if "[[alarms]]" in one]
    mail, chat = read_channels(
        import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(block)["alarms"]
    )
    assert (mail.name, mail.quiet) == ("mailto-1", Quiet(time(22), time(7), "Europe/Berlin"))
    assert (chat.name, chat.tags, chat.again_after_seconds) == ("night-shift", ("night",), 3_600)
    told = readme.partition("### Alarms")[2].partition("\n### ")[0]
    assert all(f'"{kind}"' in told or f" {kind}" in told for kind in alarms.KINDS)


def test_faults_of_the_configuration_are_told_at_once_and_without_urls() -> None:
    given = [
        {"to": "slack-secret", "kinds": ["faild"], "quiet": "22-7", "again_after": "soon"},
        {"too": "x://s3cretkey", "name": "a b", "tags": "night"},
        {"to": "json://one", "name": "same", "quiet": "22:00-07:00 Europe/Berln"},
        {"to": "json://two", "name": "same"},
    ]
    with pytest.raises(InvalidInput) as refused:
        read_channels(given)
    told = str(refused.value)
    for part in (
        "alarms[0].to",
        "did you mean 'failed'?",
        "alarms[0].quiet",
        "alarms[0].again_after",
        "did you mean 'to'?",
        "alarms[1].name",
        "alarms[1].tags",
        "Europe/Berln",
        "'same' is the name of two channels",
    ):
        assert part in told
    assert "secret" not in told
    assert "s3cretkey" not in told


def test_a_url_that_apprise_does_not_know_is_refused_without_showing_it() -> None:
    [channel] = read_channels([{"to": "nonsense://s3cret"}])
    with pytest.raises(ConfigurationError) as refused:
        sender(channel)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("at", "is_quiet"), [("21:59", False), ("22:00", True), ("23:30", True), ("06:59", True), ("07:00", False)]
)
def test_quiet_hours_go_over_midnight_on_the_clock_of_their_zone(at: str, is_quiet: bool) -> None:
    [channel] = read_channels([{"to": "json://h", "quiet": "22:00-07:00 Europe/Berlin"}])
    hour, minute = map(int, at.split(":"))
    berlin_is_two_ahead = datetime(2026, 7, 1, (hour - 2) % 24, minute, tzinfo=timezone.utc)
    assert channel.is_quiet(berlin_is_two_ahead) == is_quiet
    assert isinstance(channel.quiet, Quiet)
