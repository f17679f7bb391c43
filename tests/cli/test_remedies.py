"""Every command that a message tells people to type works as it stands."""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import click
import pytest

from cronlite.cli import ELSEWHERE, cli
from cronlite.client.app import Cronlite
from cronlite.documents import runs, transitions
from cronlite.documents.alarms import Alarm
from tests.cli.conftest import Typed, runner
from tests.cli.remedies import filled_in, remedies

REMEDIES = remedies()
SERVE = ("run", "worker", "web", "demo")
NEEDS_A_CHANNEL = "cronlite alarms test"
TELLING = ("status", "doctor", "check", "plan")  # their exit code is about what they tell of


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with something for each command to act on, and what is called how in it."""
    folder = tmp_path_factory.mktemp("remedies")
    with Cronlite(f"sqlite:{folder / 'jobs.db'}") as cron:
        schedule = cron.schedule(name="nightly", handler="extract", cron="0 3 * * *", overlap="allow")
        cron.update("nightly", note="changed")
        gone = cron.schedule(name="gone", handler="extract", cron="0 3 * * *")
        cron.remove("gone")
        failed, queued = cron.trigger("nightly").run, cron.trigger("nightly").run
        cron.store.change_runs([(failed, transitions.closed(runs.FAILED, cron.now()))])
        freeze = cron.freezes.add(tag="none", until=timedelta(hours=1))
        backfill = cron.backfill("nightly", cron.now() - timedelta(days=3), cron.now() - timedelta(hours=1))
        cron.limits.set("gpu", 2)
        now = cron.now()
        alarm = Alarm(id="failed:x", kind="failed", title="x failed", raised_at=now, since_at=now, last_at=now)
        cron.store.raise_alarms([alarm])
    (folder / "schedules.toml").write_text('owner = "billing"\n[schedules.x]\ncron = "0 4 * * *"\n')
    (folder / "app.py").write_text("import cronlite\n\n@cronlite.handler\ndef extract(params): ...\n")
    there = {"ID": schedule.id, "NAME": "nightly", "RUN": failed.id, "queued": queued.id, "gone": gone.id}
    there |= {"FREEZE": freeze.id, "BACKFILL": backfill.id, "schedule": schedule.id, "run": failed.id}
    there |= {"freeze": freeze.id, "limit": "gpu", "queue": "default", "N": "3", "TEXT": "why", "MODULE": "app"}
    there |= {"FILE": "schedules.toml", "COMMAND": "list", "HANDLER": "extract", "LIMIT": "gpu", "INSTANT": "now"}
    there |= {"alarm": alarm.id}
    return folder, there


@pytest.fixture
def typed(prepared: tuple[Path, dict[str, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """Types commands on a copy of that store, in the folder with its files."""
    folder, _ = prepared
    for file in folder.iterdir():
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    return Typed(f"sqlite:{tmp_path / 'jobs.db'}")


def test_the_remedies_are_found() -> None:
    assert len(REMEDIES) >= 40
    assert all("{unknown}" not in command for command in REMEDIES), REMEDIES


@pytest.mark.parametrize("command", sorted(REMEDIES.keys() - {NEEDS_A_CHANNEL}))
def test_a_remedy_works_as_it_stands(
    command: str, typed: Typed, prepared: tuple[Path, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    there = dict(prepared[1])
    name = next((word for word in command.split()[1:] if not word.startswith("-") and word != "MODULE"), "")
    there |= {"cancel": {"RUN": there["queued"]}, "restore": {"ID": there["gone"]}}.get(name, {})
    words = filled_in(command, there)
    if name in SERVE:
        with monkeypatch.context() as patched:
            patched.setattr(click.Command, "invoke", lambda *_: None)
            result = runner().invoke(cli, ["--uri", typed.uri, *words])
        assert result.exit_code == 0, f"{REMEDIES[command]} says '{command}': {result.output}"
        return
    result = runner().invoke(cli, ["--uri", typed.uri, *words])
    assert result.exit_code == 0 or (result.exit_code != 2 and name in TELLING), (
        f"{REMEDIES[command]} says '{command}', which ends with {result.exit_code}: {result.output}"
    )


def test_what_people_type_who_know_other_programs_is_answered_with_a_command() -> None:
    assert all("'cronlite " in hint for hint in ELSEWHERE.values()), ELSEWHERE
