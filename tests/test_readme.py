"""The README does what it says: its blocks are run, section by section, as a reader would."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.waiting import wait_until

README = (Path(__file__).parent.parent / "README.md").read_text()
_BLOCK = re.compile(r"^(?P<marker><!-- .*? -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"# ([\w/]+\.(?:py|toml))\b")


@dataclass
class Section:
    """The blocks under one heading: files to write, one script, and commands to type."""

    title: str
    files: dict[str, str] = field(default_factory=dict)
    script: str = ""
    commands: list[str] = field(default_factory=list)


def sections() -> Iterator[Section]:
    for part in re.split(r"^(?=## )", README, flags=re.M)[1:]:
        section = Section(part.partition("\n")[0].removeprefix("## "))
        for block in _BLOCK.finditer(part):
            if block["kind"] in ("python", "toml") and (name := _FILE.match(block["text"])):
                section.files[name[1]] = block["text"]
            elif block["kind"] == "python":
                section.script += block["text"]
            elif block["kind"] == "console" and not block["marker"]:
                section.commands += [line for line in block["text"].splitlines() if line.startswith("cronlite ")]
        if section.script or section.commands:
            yield section


def environment(folder: Path) -> dict[str, str]:
    scripts = str(Path(sys.executable).parent)
    return os.environ | {"PATH": f"{scripts}:{os.environ['PATH']}", "XDG_STATE_HOME": str(folder), "PYTHONPATH": "."}


@pytest.mark.parametrize("section", [pytest.param(s, id=s.title) for s in sections()])
def test_the_blocks_of_a_section_run_as_they_stand(section: Section, tmp_path: Path) -> None:
    for name, text in section.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    if section.script:
        (tmp_path / "reader.py").write_text(section.script)
        done = subprocess.run(
            [sys.executable, "reader.py"], cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True
        )
        assert done.returncode == 0, f"{section.script}\n{done.stdout}{done.stderr}"
    for command in section.commands:
        typed(command, tmp_path)


def typed(command: str, folder: Path) -> None:
    """Type one command; a daemon is left alone until it is ready, and then stopped."""
    words = shlex.split(command, comments=True)
    words = [latest_run(words[:3], folder) if word == "RUN" else word for word in words]
    words = [latest_freeze(folder) if word == "FREEZE" else word for word in words]
    if words[-1] != "run":
        done = subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return
    log = folder / "daemon.log"
    with (
        log.open("w") as written,
        subprocess.Popen(words, cwd=folder, env=environment(folder), stderr=written) as daemon,
    ):
        try:
            wait_until(lambda: " seats" in log.read_text(), what=f"{command} is ready", instead=log.read_text)
        finally:
            daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(60) == 0, log.read_text()


def latest_freeze(folder: Path) -> str:
    listing = ["cronlite", "freezes", "--json"]
    done = subprocess.run(listing, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)[0]["id"])


def latest_run(group: list[str], folder: Path) -> str:
    listing = [*group, "runs", "--limit", "1"]
    done = subprocess.run(listing, cwd=folder, env=environment(folder), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[1].split()[0]


def test_the_commands_stand_where_the_checks_look_for_them() -> None:
    for marker in ("demo command", "test command"):
        assert re.search(rf"^<!-- {marker} -->\n```console\npython3 -m venv \.venv && .*\n```$", README, re.M)
    assert re.search(r"^<!-- long test command -->\n```console\n\.venv/bin/pytest .*\n```$", README, re.M)


def test_every_link_within_the_readme_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", README, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", README)) <= headings


def test_the_map_of_the_rooms_names_files_that_are_there() -> None:
    development = README.partition("## Development")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+/\w+)`", development))
    package = Path(__file__).parent.parent
    missing = {
        name
        for name in named
        if not any((package / folder / f"{name}{end}").exists() for folder in ("cronlite", "") for end in ("", ".py"))
    }
    assert missing == set()
    assert len(named) > 20
