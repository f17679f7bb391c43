"""What can be typed, and how does each command end?"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any, NoReturn

import click

from cronlite.cli import anywhere, streams
from cronlite.cli.session import Session
from cronlite.errors import ConfigurationError, CronliteError, InvalidInput, StoreUnavailable, shown, suggestion
from cronlite.version import VERSION

LONGEST = 1_000
OK, FAILED, USAGE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130

# Where each command lives and what it is for: so that help and completion import none of them.
COMMANDS: dict[str, dict[str, tuple[str, str]]] = {
    "Schedules": {
        "add": ("editing.add", "Store a schedule, and show when it will run."),
        "list": ("schedules.list_", "List schedules: how the last run of each went, and when the next one is."),
        "show": ("schedules.show", "Show all of one schedule."),
        "edit": ("editing.edit", "Change fields of a schedule."),
        "remove": ("schedules.remove", "Delete schedules."),
        "pause": ("schedules.pause", "Keep schedules from running."),
        "resume": ("schedules.resume", "Let paused schedules run again."),
        "history": ("history.history_", "Show who changed a schedule, or all: when, and what."),
        "undo": ("history.undo", "Take the last change of a schedule back."),
        "removed": ("history.removed", "List schedules that were removed and can be restored."),
        "restore": ("history.restore", "Store schedules again that were removed."),
        "freeze": ("freezes.freeze", "Run none of some schedules, for a stretch of time."),
        "freezes": ("freezes.freezes_", "List the freezes in force and to come."),
        "thaw": ("freezes.thaw", "End freezes now."),
        "next": ("upcoming.next_", "Show upcoming runs in the order of time, DST oddities marked."),
        "why": ("upcoming.why", "Say why a schedule ran at a minute, or did not."),
        "plan": ("plans.plan", "Show what 'apply' would do with a file of schedules."),
        "apply": ("plans.apply", "Make the schedules that a file wants."),
        "export": ("plans.export", "Write schedules as a file for 'apply'."),
        "import-crontab": ("crontab.import_crontab", "Store a crontab's lines as schedules."),
        "export-crontab": ("crontab.export_crontab", "Write schedules as a crontab."),
    },
    "Runs": {
        "trigger": ("requests.trigger", "Queue one run of a schedule now."),
        "backfill": ("backfills.backfill", "Queue runs for minutes of the past that have none."),
        "enqueue": ("requests.enqueue", "Queue one call of a handler, now or later."),
        "runs": ("runs.runs_", "List runs, the last queued first."),
        "log": ("runs.log", "Show a run: attempts, output, error."),
        "retry": ("requests.retry", "Queue finished runs once more."),
        "cancel": ("requests.cancel", "Close queued runs before they start."),
        "limit": ("limits.limit", "Let at most N runs that name it be at work at once."),
        "limits": ("limits.limits_", "List limits: how many runs are at work, and how many wait."),
    },
    "Service": {
        "run": ("service.run", "Run the daemon in the foreground."),
        "worker": ("service.worker", "Run a worker: it runs what a broker tells it of."),
        "web": ("web.web", "Serve the site: what ran, what will, and what is wrong."),
        "status": ("inspection.status", "Show who is alive, last ticks, queue, gaps."),
        "alarms": ("alarms.alarms", "List alarms: what failed, is overdue, or was not ticked."),
        "check": ("alarms.check", "Say in one line whether all is well."),
        "doctor": ("inspection.doctor", "Look for what is wrong, and how to mend it."),
        "demo": ("demo.demo", "See the whole thing in one minute, on a throw-away file."),
        "completion": ("completion.completion", "Print the script that makes a shell complete."),
    },
}
# What people type who know other programs, and what they want is called here.
ELSEWHERE = {
    "audit": "'cronlite history' shows who changed what",
    "changes": "'cronlite history' shows who changed what",
    "concurrency": "'cronlite limit NAME N' sets how many runs of a name may be at work at once",
    "declare": "'cronlite apply FILE' makes the schedules that a file wants",
    "delete": "'cronlite remove ID' deletes schedules",
    "deploy": "'cronlite apply FILE' makes the schedules that a file wants",
    "diff": "'cronlite plan FILE' shows what 'apply' would do",
    "disable": "'cronlite pause ID' keeps a schedule from running",
    "enable": "'cronlite resume ID' lets a paused schedule run again",
    "replay": "'cronlite backfill ID --from 7d' queues runs for minutes of the past that have none",
    "maintenance": "'cronlite freeze --all --until 2h --reason TEXT' lets no schedule run until then",
    "failed": "'cronlite runs --failed' lists what failed, and 'cronlite retry --failed --since 22:00' repeats it",
    "failures": "'cronlite runs --failed' lists what failed",
    "health": "'cronlite status' shows who is alive and what waits, and 'cronlite doctor' what is wrong",
    "help": "'cronlite --help' lists all commands, and 'cronlite COMMAND --help' explains one",
    "info": "'cronlite show ID' shows a schedule, and 'cronlite log RUN' a run",
    "logs": "'cronlite log RUN' shows what a run printed",
    "ls": "'cronlite list' lists schedules",
    "output": "'cronlite log RUN' shows what a run printed",
    "ps": "'cronlite runs --state running' lists what runs, and 'cronlite status' who is alive",
    "rerun": "'cronlite retry RUN' queues a finished run once more",
    "revert": "'cronlite undo ID' takes the last change of a schedule back",
    "rm": "'cronlite remove ID' deletes schedules",
    "rollback": "'cronlite undo ID' takes the last change of a schedule back",
    "run-now": "'cronlite trigger ID' queues a run of a schedule now",
    "start": "'cronlite run' runs the daemon, and 'cronlite trigger ID' queues a run of a schedule now",
    "stop": "'cronlite pause ID' keeps a schedule from running, 'cronlite cancel RUN' a queued run; or end the daemon",
    "tail": "'cronlite log RUN' shows what a run printed",
    "trash": "'cronlite removed' lists what was removed, and 'cronlite restore ID' stores it again",
    "undelete": "'cronlite restore ID' stores a schedule again that was removed",
    "upcoming": "'cronlite next' shows what will run",
    "version": "'cronlite --version' prints it",
}
SERVICES = ("run", "worker")  # their options are the environment of a service: CRONLITE_SEATS, not CRONLITE_RUN_SEATS
_HOMES = {name: home for commands in COMMANDS.values() for name, (home, _) in commands.items()}


class CommandLine(click.Group):
    """The group: commands are imported when they are named, and every error ends here, in one line."""

    def list_commands(self, _: click.Context) -> list[str]:
        return list(_HOMES)

    def get_command(self, _: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _HOMES:
            return None
        module, attribute = _HOMES[cmd_name].split(".")
        command: click.Command = getattr(import_module(f"cronlite.cli.{module}"), attribute)
        _name_variables(command, "CRONLITE" if cmd_name in SERVICES else f"CRONLITE_{_upper(cmd_name)}")
        anywhere.give(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in _HOMES and not args[0].startswith("-") and not ctx.resilient_parsing:
            hint = ELSEWHERE.get(args[0].lower()) or suggestion(args[0], _HOMES)
            raise click.UsageError(f"no command is called {args[0]!r}; {hint}".rstrip("; "), ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name, summary) for name, (_, summary) in commands.items()], col_max=14)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        from click.shell_completion import CompletionItem

        known = [(name, summary) for commands in COMMANDS.values() for name, (_, summary) in commands.items()]
        fitting = [CompletionItem(name, help=summary) for name, summary in known if name.startswith(incomplete)]
        return fitting + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            streams.hush()  # whoever read this has seen enough: `cronlite list | head`
            return OK

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return self._parsed(ctx, args)
        except BrokenPipeError:
            streams.hush()  # as above, where help or the version is the answer
            ctx.exit(OK)

    def _parsed(self, ctx: click.Context, args: list[str]) -> list[str]:
        for word in args:
            try:
                word.encode()
            except UnicodeEncodeError:
                raise click.UsageError(f"{shown(word)} is no UTF-8 text", ctx) from None
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help())
            ctx.exit(USAGE)
        return super().parse_args(ctx, args)

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run a command line and leave the process with its exit code."""
        streams.open_closed()
        options = {**extra, "standalone_mode": False}
        sys.exit(_exit_code(partial(super().main, *args, **options)))


def _name_variables(command: click.Command, prefix: str) -> None:
    """Give each option the environment variable that is called as it is; click would go by the Python parameter."""
    for option in command.params:
        if isinstance(option, click.Option) and option.envvar is None and not isinstance(option, anywhere.Anywhere):
            long = max(option.opts, key=len)
            option.envvar = f"{prefix}_{_upper(long.lstrip('-'))}"


def _upper(name: str) -> str:
    return name.upper().replace("-", "_")


def _exit_code(run: Callable[[], Any]) -> int:
    try:
        code = run()
        sys.stdout.flush()  # an application prints at its import, say
    except click.UsageError as wrong:
        where = f" (see '{wrong.ctx.command_path} --help')" if wrong.ctx else ""
        return _told(f"{wrong.format_message()}{where}", USAGE)
    except click.ClickException as failed:
        return _told(failed.format_message(), failed.exit_code)
    except click.Abort:
        return INTERRUPTED
    except (InvalidInput, ConfigurationError) as wrong:
        return _told(str(wrong), USAGE)
    except StoreUnavailable as missing:
        return _told(str(missing), UNREACHABLE)
    except CronliteError as failed:
        if isinstance(failed, streams.Unwritable):
            streams.hush()
        return _told(str(failed), FAILED)
    except BrokenPipeError:
        streams.hush()
        return OK
    except OSError as failed:
        streams.hush()
        return _told(str(failed), FAILED)
    return code if isinstance(code, int) else OK


def _told(message: str, code: int) -> int:
    from cronlite.cli.render import note

    line = " ".join(message.split())
    note(line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…", "error")
    return code


def _configured(context: click.Context, _: click.Parameter, path: str | None) -> None:
    if path is not None:
        from cronlite.cli import config

        context.default_map = config.load(path, cli, context)


_EPILOG = """
Every option can come from the environment, too: CRONLITE_URI, CRONLITE_APP, CRONLITE_CONFIG; those of run as
CRONLITE_SEATS and so on; those of other commands with its name, as CRONLITE_LIST_JSON=1. An option counts before the
environment, that before the file, that before the default. --uri, -A and --config may stand behind the command as well.

ID is a schedule's id, a unique beginning of it, or its name. Instants are ISO 8601, 22:00, yesterday, tomorrow 08:00;
a zone may follow: 22:00 Europe/Berlin, 21:00Z. One without a zone is read on the schedule's clock where a command is
about one schedule, and elsewhere on this machine's (or that of $TZ), as in a crontab. Durations are 90s, 10m, 2h, 3d.

Exit codes: 0 all went well; 1 the operation failed; 2 usage, configuration or import; 3 the store is unreachable.

To complete commands, schedules and handlers by the tab key: eval "$(cronlite completion bash)"; zsh and fish can, too.
"""
_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


@click.command("cronlite", cls=CommandLine, epilog=_EPILOG, context_settings=_SETTINGS)
@click.option(
    "--uri", envvar="CRONLITE_URI", metavar="URI", help="The store: mongodb://host/database, sqlite:PATH or memory:."
)
@click.option(
    "-A", "--app", envvar="CRONLITE_APP", metavar="MODULE[:OBJECT]", help="The application: handlers, and a Cronlite."
)
@click.option(
    "--config",
    envvar="CRONLITE_CONFIG",
    metavar="FILE",
    is_eager=True,
    expose_value=False,
    callback=_configured,
    help="A TOML file: uri and app at the top, a table for each command, such as [run] with seats = 8.",
)
@click.version_option(VERSION, message="cronlite %(version)s")
@click.pass_context
def cli(context: click.Context, uri: str | None, app: str | None) -> None:
    """Cron for applications: schedules in MongoDB or in a file, handlers in Python, each minute exactly once.

    New here? `cronlite demo` shows the whole thing in one minute.
    """
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        context.color = False
    context.obj = Session(uri, app, context.meta.get("cronlite.quota"), context.meta.get("cronlite.alarms", ()))
    context.call_on_close(context.obj.close)


def main() -> NoReturn:
    """Run the command line of this process."""
    cli.main(prog_name="cronlite")
