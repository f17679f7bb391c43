"""The unit file: what systemd makes of it, and what it must agree on with the daemon."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from cronlite.cli import cli
from cronlite.daemon.minutes import LONGEST_WAIT_SECONDS
from cronlite.daemon.options import Options
from tests.services import MissingService, skip_or_fail

DEPLOY = Path(__file__).parents[2] / "deploy"
UNIT = DEPLOY / "cronlite.service"
ENVIRONMENT = DEPLOY / "cronlite.env"


@pytest.fixture(scope="module")
def analyze() -> str:
    """The path of systemd-analyze, which needs no running systemd."""
    found = shutil.which("systemd-analyze")
    if found is None:
        skip_or_fail(MissingService("no systemd-analyze: it is in Debian's package systemd"))
    return found


def settings() -> dict[str, str]:
    """Return the unit's settings; of one that is there several times, the last."""
    lines = (line.partition("=") for line in UNIT.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name: value for name, _, value in lines}


def verified(analyze: str, unit: Path) -> tuple[int, str]:
    # The executable has to be there for systemd-analyze, and is not on a machine that only tests.
    text = unit.read_text().replace("/opt/cronlite/bin/cronlite", sys.executable)
    unit.write_text(text)
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_systemd_finds_nothing_wrong_with_the_unit(analyze: str, tmp_path: Path) -> None:
    unit = Path(shutil.copy(UNIT, tmp_path))
    assert verified(analyze, unit) == (0, "")


@pytest.mark.parametrize("setting", ["Type=notify", "WatchdogSec=", "RestartPreventExitStatus=", "ProtectSystem="])
def test_systemd_would_find_a_setting_misspelt(analyze: str, tmp_path: Path, setting: str) -> None:
    unit = Path(shutil.copy(UNIT, tmp_path))
    assert setting in unit.read_text()
    unit.write_text(unit.read_text().replace(setting, f"X{setting}"))
    # X- is for settings of one's own; X alone is not.
    assert "Unknown key" in verified(analyze, unit)[1]


def test_the_service_is_exposed_to_2_out_of_10_at_most(analyze: str) -> None:
    command = [analyze, "security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout
    exposure = re.search(r"Overall exposure level for cronlite.service: ([\d.]+)", done.stdout)
    assert exposure, done.stdout
    assert float(exposure[1]) <= 2.0


def test_the_unit_says_what_the_daemon_needs() -> None:
    told = settings()
    assert told["Type"] == "notify"
    assert told["NotifyAccess"] == "main"
    assert told["Restart"] == "on-failure"
    assert told["RestartPreventExitStatus"] == "2"
    assert (told["DynamicUser"], told["StateDirectory"]) == ("yes", "cronlite")
    assert told["ExecStart"].split()[1:] == ["run"]
    assert told["TimeoutStartSec"] == "infinity", "a store that comes up late is no failure"
    assert told["EnvironmentFile"] == "-/etc/cronlite/cronlite.env"
    assert "ExecReload" not in told


def test_the_units_times_go_with_the_daemons() -> None:
    told = settings()
    assert float(told["TimeoutStopSec"]) >= Options().drain_seconds + 30
    # The watchdog expects a sign of life in half of its time (sd_watchdog_enabled(3)), whatever the store does.
    assert float(told["WatchdogSec"]) / 2 > 3 * LONGEST_WAIT_SECONDS


# the environment file


def options() -> dict[str, click.Option]:
    """Return the options of the group and of `run` by their variables."""
    context = click.Context(cli)
    run = cli.get_command(context, "run")
    assert run is not None
    return {
        f"CRONLITE_{(option.name or '').upper()}": option
        for option in [*cli.params, *run.params]
        if isinstance(option, click.Option)
    }


def offered() -> dict[str, str]:
    """Return the settings that the environment file has, all of them commented out."""
    lines = ENVIRONMENT.read_text().splitlines()
    return dict(found.groups() for line in lines if (found := re.fullmatch(r"#(CRONLITE_\w+)=(.+)", line)))  # type: ignore[misc]


def test_every_variable_of_the_environment_file_is_an_option() -> None:
    assert set(offered()) <= set(options())
    assert {"CRONLITE_URI", "CRONLITE_APP", "CRONLITE_SEATS", "CRONLITE_ALLOW_SHELL"} <= set(offered())


@pytest.mark.parametrize(
    "name",
    sorted(
        set(offered()) - {f"CRONLITE_{name}" for name in ("URI", "APP", "DISPATCH", "ALLOW_SHELL", "HEARTBEAT_URL")}
    ),
)
def test_the_environment_file_shows_the_defaults(name: str) -> None:
    assert offered()[name] == str(options()[name].default)


def test_a_daemon_takes_the_environment_file_as_it_is_and_with_every_line_in_force(tmp_path: Path) -> None:
    for text in (ENVIRONMENT.read_text(), re.sub(r"(?m)^#(CRONLITE_(?!URI|APP))", r"\1", ENVIRONMENT.read_text())):
        # systemd.exec(5): empty lines and those that begin with # or ; are ignored.
        given = dict(line.split("=", 1) for line in text.splitlines() if line and line[0] not in "#;")
        program = "from cronlite.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "run", "--help"], env=given, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        command = [sys.executable, "-c", program, "--uri", "nonsense:", "run"]
        done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert "nonsense" in done.stderr, "the options were read, and only the URI was refused"
