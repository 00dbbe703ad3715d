"""Run the site; in development it reloads itself.

Ctrl-C stops it.
"""

import os
import re
import socket
import sys
from typing import Annotated

import typer

from opportune.checks import start_checks
from opportune.cli.development import server, startup
from opportune.cli.options import NoInput
from opportune.cli.output import say, warn
from opportune.config.project import installed_features
from opportune.config.settings import Settings, forget_settings, get_settings
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.features import all_features
from opportune.ops.backup.marker import interrupted_restore
from opportune.storage import open_storage

Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: HOST]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: PORT]")]


Address = Annotated[
    str | None,
    typer.Argument(
        metavar="[ADDRESS:]PORT", help="Where to listen: 8000, 0.0.0.0:8000, [::1]:8000.", show_default=False
    ),
]


def command(
    address: Address = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve.")] = 1,
    migrate: Annotated[bool, typer.Option("--migrate", help="Apply migrations first.")] = False,
    reload: Annotated[
        bool | None,
        typer.Option(help="Restart when code, templates or .env change. [default: in development, with one worker]"),
    ] = None,
    https: Annotated[
        bool | None, typer.Option(help="Serve HTTPS, with a certificate made on the spot. [default: LOCAL_HTTPS]")
    ] = None,
    no_input: NoInput = False,
) -> None:
    if address is not None:
        host, port = given_address(address, host, port)
    settings = settings_with_https(https)
    startup.read_addresses(settings)
    if reload is None:
        reload = settings.environment == "development" and workers == 1
    elif reload and workers > 1:
        raise typer.BadParameter("a server that reloads has one worker.", param_hint="--reload")
    # A supervisor in production must learn that its port is taken: another one would get no requests.
    use_free_port = not settings.is_production if no_input else None
    with reserve(
        host or server.address(settings), settings.port if port is None else port, use_free_port=use_free_port
    ) as listener:
        look_at_database(settings, migrate)
        startup.remove_abandoned_files(settings)
        server.serve(listener, settings, workers=workers, reload=reload)


def given_address(address: str, host: str | None, port: int | None) -> tuple[str | None, int]:
    """Host and port of `8000`, `:8000`, `0.0.0.0:8000` or `[::1]:8000`.

    Raises:
        BadParameter: it is none of these, or --host or --port say something else.
    """
    found = re.fullmatch(r"(?:(?P<host>[\w.-]+|\[[\da-fA-F:.]+\])?:)?(?P<port>\d{1,5})", address, re.ASCII)
    if not found or int(found["port"]) > server.MAX_PORT:
        raise typer.BadParameter(f"{address!r} is no [ADDRESS:]PORT, such as 8000 or 0.0.0.0:8000.")
    named = (found["host"] or "").strip("[]") or None
    if port is not None or (host is not None and named is not None):
        raise typer.BadParameter(f"{address} says where to listen: leave out --host and --port.")
    return named or host, int(found["port"])


def settings_with_https(https: bool | None) -> Settings:
    """The settings, where this process and its workers serve HTTPS as the option says."""
    if https is not None and https != get_settings().local_https:
        os.environ["LOCAL_HTTPS"] = str(https).lower()
        forget_settings()
    return get_settings()


def reserve(host: str, port: int, *, use_free_port: bool | None = None) -> socket.socket:
    """Open the port, or the next free one if it is taken and the user agrees; None asks a user at a terminal.

    Raises:
        OperatorError: the port cannot be opened.
    """
    try:
        return server.reserve(host, port)
    except server.PortTakenError as error:
        free = server.next_free_port(host, port)
        if free is None:
            raise
        if use_free_port:
            say(f"Port {port} is taken: using {free}.")
        elif use_free_port is None and sys.stdin.isatty():
            use_free_port = typer.confirm(f"Port {port} is taken. Use {free}?", default=True)
        if use_free_port:
            return server.reserve(host, free)
        raise OperatorError(f"Port {port} is taken. Free is: python3 oppman.py runserver {free}") from error


def look_at_database(settings: Settings, migrate: bool) -> None:
    """Refuse to start without a database; tell what is wrong with one that can be used."""
    schema = startup.inspect_schema(settings)
    if migrate and (schema.pending or schema.is_behind_code):
        startup.apply_migrations(settings)
        schema = startup.inspect_schema(settings)
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    lost = startup.data_loss_warning(settings), open_storage(settings).data_loss_warning, interrupted_restore(settings)
    checks = start_checks(all_features(installed_features())) if settings.is_production else ()
    missed = [finding.text for check in checks for finding in check(settings)]
    for line in (*schema.faults, *lost, url.readonly_notice, *missed):
        if line:
            warn(line)
