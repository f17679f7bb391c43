"""One user's name or key is not another's, on every store and however many ask at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest

from cronlite import Conflict, Cronlite, Handle, Schedule
from cronlite.cli import cli
from cronlite.store.contract import Refusal, Write
from tests.cli.conftest import runner


@pytest.fixture(params=["file", "mongodb"])
def uri(request: pytest.FixtureRequest) -> str:
    if request.param == "mongodb":
        return str(request.getfixturevalue("mongo_uri"))
    return f"sqlite:{request.getfixturevalue('tmp_path') / 'jobs.db'}"


@pytest.fixture
def cron(uri: str) -> Iterator[Cronlite]:
    with Cronlite(uri) as cron:
        cron.store.prepare()
        yield cron


def at_once(calls: list[Callable[[], object]]) -> list[object]:
    """Call all at the same time; return what each returned, or the Conflict that it raised."""
    begin, answers = threading.Barrier(len(calls)), list[object]()

    def call(one: Callable[[], object]) -> None:
        begin.wait(60)
        try:
            answers.append(one())
        except Conflict as refused:
            answers.append(refused)

    threads = [threading.Thread(target=call, args=(one,)) for one in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_a_key_gets_nobody_the_run_of_another_user_or_handler(cron: Cronlite) -> None:
    alices = cron.enqueue("mail", {"secret": 42}, user="alice", key="invoice-7")
    assert cron.enqueue("mail", {}, user="alice", key="invoice-7").id == alices.id
    for handler, user in (("mail", "bob"), ("mail", ""), ("print", "alice")):
        with pytest.raises(Conflict, match="invoice-7") as refused:
            cron.enqueue(handler, {}, user=user, key="invoice-7")
        assert "alice" not in str(refused.value)
        assert alices.id not in str(refused.value)
    assert len(cron.runs()) == 1


def test_a_name_declared_by_another_user_changes_nothing(cron: Cronlite) -> None:
    alices = cron.schedule("alice", {"secret": 42}, minute=5, name="nightly")
    for user in ("bob", ""):
        with pytest.raises(Conflict, match="nightly") as refused:
            cron.schedule(user, {"mine": True}, minute=6, name="nightly")
        assert "alice" not in str(refused.value)
    assert cron.get("nightly") == alices
    assert cron.schedule("alice", {"secret": 43}, minute=5, name="nightly").id == alices.id


def test_of_two_users_at_once_one_has_the_name_and_one_the_key(cron: Cronlite) -> None:
    users = ["alice", "bob", "alice", "bob"]
    for n in range(10):
        named = at_once([partial(cron.schedule, user, minute=5, name=f"n{n}") for user in users])
        whose = [one.user for one in named if isinstance(one, Schedule)]
        assert whose == [cron.get(f"n{n}").user] * 2, named
        keyed = at_once([partial(cron.enqueue, "mail", {}, user, key=f"k{n}") for user in users])
        (run,) = (run for run in cron.runs(limit=None) if run.key == f"k{n}")
        assert [one.run for one in keyed if isinstance(one, Handle)] == [run, run], keyed


def test_a_schedule_that_changes_hands_while_it_is_declared_is_left_alone(
    cron: Cronlite, monkeypatch: pytest.MonkeyPatch
) -> None:
    cron.schedule("alice", minute=5, name="nightly")
    real = cron.store.write_schedules

    def write(writes: Sequence[Write]) -> dict[str, Refusal]:
        monkeypatch.undo()
        cron.update("nightly", user="carol")
        return real(writes)

    monkeypatch.setattr(cron.store, "write_schedules", write)
    with pytest.raises(Conflict):
        cron.schedule("alice", minute=6, name="nightly")
    assert (cron.get("nightly").user, cron.get("nightly").minute) == ("carol", 5)


def test_an_imported_crontab_replaces_no_schedule_of_another_user(cron: Cronlite, uri: str, tmp_path: Any) -> None:
    roots = cron.schedule("root", {"command": ["/sbin/backup"]}, minute=5, handler="shell", name="backup")
    (tmp_path / "crontab").write_text("#cronlite: name backup\n0 3 * * * curl http://evil\n")
    words = ["--uri", uri, "import-crontab", "--user", "eve", "--tz", "UTC", str(tmp_path / "crontab")]
    result = runner().invoke(cli, words)
    assert result.exit_code == 2, result.output
    assert "another user" in result.output
    assert "root" not in result.output.replace("crontab", "")
    assert cron.get("backup") == roots
