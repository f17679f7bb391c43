"""An id that is a command of its own, in the commands that an alarm tells people to type."""

import re
import shlex
from datetime import datetime, timedelta, timezone

from cronlite.client.doctor import doctor
from cronlite.documents.runs import Run
from cronlite.store.contract import Store
from tests.alarms.told import Night
from tests.store.samples import a_run, a_schedule

ID = "x; touch /tmp/owned $(id) `id` | sh & 'quoted' \"twice\""


def test_the_commands_of_a_message_name_it_and_run_nothing(store: Store) -> None:
    night = Night(store)
    night.schedule("plain")
    night.store.add_schedule({**(store.schedule("plain") or {}), "_id": ID, "name": None})
    night.fails(ID, user="eve; sh")
    night.fails(None, user="eve; sh")
    night.pass_(minutes=1)
    [(_, body)] = night.recipient.messages
    typed = re.findall(r"^  (?:more|to be told no more of it): (.*)$", body, re.M)
    assert len(typed) == 4
    for line in typed:
        words = shlex.split(line)
        assert (words[0], len(words)) == ("cronlite", 3 if words[1] == "log" else 4), line
    assert {shlex.split(line)[-1] for line in typed} >= {f"failed:{ID}", "failed:demand/extract/eve; sh"}


def test_so_do_the_remedies_of_the_doctor(store: Store) -> None:
    for number in range(3):
        store.add_runs([_failed(number)])
    store.add_schedule({**a_schedule(), "_id": ID, "minute": 61})
    remedies = [finding.remedy for finding in doctor(store) if "cronlite " in finding.remedy and "x;" in finding.remedy]
    assert len(remedies) == 2
    for remedy in remedies:
        assert f"cronlite log {shlex.quote(f'{ID}/2')}" in remedy or f"cronlite edit {shlex.quote(ID)} --" in remedy


def _failed(number: int) -> Run:
    at = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(minutes=10 - number)
    return a_run(f"{ID}/{number}", schedule=ID, state="failed", queued_at=at, due_at=at, finished_at=at)
