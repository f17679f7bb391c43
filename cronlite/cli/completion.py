"""How does a shell learn to complete?"""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from cronlite.cli.streams import say

_SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS), required=False)
@click.pass_context
def completion(context: click.Context, shell: str | None) -> None:
    """Print the script that makes a shell complete commands, schedules, runs and handlers.

    \b
    ~/.bashrc                   eval "$(cronlite completion bash)"
    ~/.zshrc                    eval "$(cronlite completion zsh)"
    ~/.config/fish/config.fish  cronlite completion fish | source

    Without a name, the shell is the one that $SHELL names.
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    kind = get_completion_class(shell) if shell in _SHELLS else None
    if kind is None:
        raise click.UsageError(f"name the shell: {', '.join(_SHELLS)}", context)
    say(kind(context.find_root().command, {}, "cronlite", "_CRONLITE_COMPLETE").source())
