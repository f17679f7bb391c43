"""A schedule's name holds a command: is it run when somebody at a shell completes the name and presses Enter?"""

import os
import shutil
import sys
from pathlib import Path

import pytest

from cronlite.cli import cli
from cronlite.client.app import Cronlite
from tests.cli.conftest import runner
from tests.cli.terminal import Terminal
from tests.services import MissingService, skip_or_fail

# In each shell: how to start it bare, and how to have it complete cronlite's words.
SHELLS = {
    "bash": (["--noprofile", "--norc", "-i"], 'eval "$(cronlite completion bash)"; PS1="ready> "'),
    "zsh": (["-f", "-i"], 'autoload -U compinit; compinit -u; eval "$(cronlite completion zsh)"; PS1="ready> "'),
    "fish": (["--no-config", "-i"], 'cronlite completion fish | source; function fish_prompt; echo "ready> "; end'),
}
RUN = ["ya-nightly;touch${IFS}PWNED", "yb$(touch${IFS}PWNED)"]
ATTACKS = [*RUN, "yc`touch PWNED`", "yd|touch PWNED", "ye>PWNED", "yf touch", "-yg", "yh'\"touch", "yi&touch PWNED",
           "~yj", "yk*", "yl#", "ym\\;touch", "yn\nplain,yn-another", "=yo"]  # fmt: skip


@pytest.fixture
def uri(tmp_path: Path) -> str:
    uri = f"sqlite:{tmp_path / 'jobs.db'}"
    with Cronlite(uri) as cron:
        cron.store.prepare()
        for number, name in enumerate([*ATTACKS, "zz-good@day:1"]):
            cron.store.add_schedule({"_id": f"{number}", "params": {}, "name": name})
    return uri


@pytest.mark.parametrize("shell", SHELLS)
def test_no_shell_runs_it(shell: str, uri: str, tmp_path: Path) -> None:
    found = shutil.which(shell)
    if found is None:
        skip_or_fail(MissingService(f"{shell} is not installed"))
    bin_folder = str(Path(sys.executable).parent)
    environment = {
        "PATH": f"{bin_folder}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "TERM": "dumb",
        "LANG": "C.UTF-8",
    }
    environment["CRONLITE_URI"] = uri
    options, setup = SHELLS[shell]
    with Terminal([str(found), *options], environment, str(tmp_path)) as terminal:
        terminal.press(f"{setup}; echo set''up\n")
        terminal.wait_for("setup")
        terminal.wait_for("ready> ")
        for name in RUN:
            terminal.press(f"cronlite show {name[:2]}\t\n")
            terminal.press("echo do''ne\n")
            terminal.wait_for("done")
        assert not (tmp_path / "PWNED").exists()
        terminal.press("cronlite show zz\t")
        terminal.wait_for("zz-good")  # so it does complete
        terminal.press("\n")
        assert "every minute" in terminal.wait_for("next runs".upper())
    assert not (tmp_path / "PWNED").exists()


def test_only_what_needs_no_quoting_is_offered(uri: str) -> None:
    line = "cronlite show "
    environment = {"_CRONLITE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "2", "CRONLITE_URI": uri}
    told = runner().invoke(cli, [], env=environment, prog_name="cronlite").stdout
    assert told.splitlines() == ["plain,zz-good@day:1"]
