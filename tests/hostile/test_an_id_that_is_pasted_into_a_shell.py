"""An id that is a command of its own, in the commands that an alarm tells people to type."""

import re
import shlex

from cronlite.store.contract import Store
from tests.alarms.told import Night

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
