"""How is the site served from a command line?"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cronlite.cli.parameters import late_after, seconds
from cronlite.cli.session import Session, pass_session
from cronlite.errors import ConfigurationError, shown

if TYPE_CHECKING:
    from cronlite.client.app import Cronlite

TOKENS = ("view", "operate")


@click.command()
@click.option("--listen", metavar="HOST:PORT", default="127.0.0.1:8033", show_default=True, help="Where to serve it.")
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name by which browsers reach it; repeatable.")
@click.option("--view-token-file", metavar="FILE", help="Holds the token of those who look, if not the environment.")
@click.option("--operate-token-file", metavar="FILE", help="Holds the token of those who change, too.")
@late_after()
@click.option("--read-only", is_flag=True, help="Let nobody change anything.")
@pass_session
def web(
    session: Session,
    listen: str,
    hosts: tuple[str, ...],
    view_token_file: str | None,
    operate_token_file: str | None,
    late_after: timedelta | str,
    read_only: bool,
) -> None:
    """Serve the site: what ran, what will, and what is wrong.

    It looks after alarms, too, and tells of them when no daemon is left that could.
    Needs the extra web: pip install 'cronlite[web]'. Without a token it answers this machine only, and listens nowhere
    else. Tokens come from $CRONLITE_WEB_VIEW_TOKEN and $CRONLITE_WEB_OPERATE_TOKEN, or from files: a command line shows
    in the list of processes.
    """
    from cronlite.web.hosts import is_loopback

    serve = prepared(listen)
    address, _ = _address(listen)
    view, operate = _token("view", view_token_file), _token("operate", operate_token_file)
    if view is None and operate is None and address != "localhost" and not is_loopback(address):
        remedy = "set $CRONLITE_WEB_OPERATE_TOKEN or --operate-token-file (or the view ones), or listen on 127.0.0.1"
        raise ConfigurationError(
            f"the site listens on {address}, and everybody there could change everything; {remedy}"
        )
    with ExitStack() as end:
        if not read_only:  # its user may be one who cannot write
            watching = session.cron.alarms.watching(session.channels, seconds(late_after))
            end.callback(watching.stop)
            watching.keep_going()
        serve(session.cron, hosts=hosts, view_token=view, operate_token=operate, read_only=read_only)


def prepared(listen: str) -> Callable[..., None]:
    """Return what serves the site of a Cronlite, with the options of `site`. Raises ConfigurationError."""
    from cronlite.web import incomplete, site

    try:
        import uvicorn
    except ModuleNotFoundError as missing:
        raise incomplete(missing) from None
    address, port = _address(listen)

    def serve(cron: Cronlite, **options: Any) -> None:
        application = site(cron, **options)
        click.echo(f"http://{listen}/  (Ctrl-C ends it)", err=True)
        uvicorn.run(application, host=address, port=port, log_level="warning", server_header=False, date_header=True)

    return serve


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigurationError(f"--listen is {shown(listen)}; give HOST:PORT, such as 127.0.0.1:8033")
    return host, int(port)


def _token(level: str, file: str | None) -> str | None:
    """Read a token from a file or the environment; whoever may read that file may sign in."""
    if file is None:
        return os.environ.get(f"CRONLITE_WEB_{level.upper()}_TOKEN") or None
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeError) as wrong:
        raise ConfigurationError(f"--{level}-token-file {shown(file)} cannot be read: {wrong}") from None
