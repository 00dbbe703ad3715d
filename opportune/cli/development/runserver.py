"""Run the site. In development it restarts when files change.

Ctrl-C stops it.
"""

import logging
import os
import re
import socket
import sys
from functools import partial
from logging.config import dictConfig
from typing import Annotated

import typer

from opportune.checks import start_checks
from opportune.cli.development import server, sockets, startup
from opportune.cli.options import NoInput
from opportune.cli.output import say, warn
from opportune.config.database_variables import unused_database_notice
from opportune.config.settings import Settings, clear_settings_cache, get_settings
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError
from opportune.features.core import all_features
from opportune.project.installed import installed_features
from opportune.server.logging import logging_config
from opportune.storage import open_storage

Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: HOST]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: PORT]")]
logger = logging.getLogger(__name__)

Address = Annotated[
    str | None,
    typer.Argument(
        metavar="[ADDRESS:]PORT", help="Address to listen on: 8000, 0.0.0.0:8000, [::1]:8000.", show_default=False
    ),
]


def command(
    address: Address = None,
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="Number of worker processes.")] = 1,
    migrate: Annotated[bool, typer.Option("--migrate", help="Apply migrations first.")] = False,
    reload: Annotated[
        bool | None,
        typer.Option(help="Restart when code, templates or .env change. [default: in development with one worker]"),
    ] = None,
    https: Annotated[
        bool | None, typer.Option(help="Serve HTTPS with a self-signed certificate. [default: LOCAL_HTTPS]")
    ] = None,
    no_input: NoInput = False,
) -> None:
    if address is not None:
        host, port = _parse_address(address, host, port)
    settings = _settings_with_https(https)
    startup.validate_configuration(settings)
    if reload is None:
        reload = settings.environment == "development" and workers == 1
    elif reload and workers > 1:
        raise typer.BadParameter("reloading needs a single worker.", param_hint="--reload")
    if settings.database_connections and workers > settings.processes:
        raise OperatorError(
            f"PROCESSES is {settings.processes}, but --workers starts {workers}, which would exceed"
            " DATABASE_CONNECTIONS. Set PROCESSES to the number of all processes of the site."
        )
    # Without a terminal, a taken port is an error in production, because the proxy sends requests only to this port.
    use_free_port = not settings.is_production if no_input else None
    bind_host = host or sockets.default_host(settings)
    bind_port = settings.port if port is None else port
    with reserve(bind_host, bind_port, use_free_port=use_free_port) as listener:
        check_database(settings, migrate=migrate)
        startup.remove_abandoned_files(settings)
        server.serve(listener, settings, workers=workers, reload=reload)


def _parse_address(address: str, host: str | None, port: int | None) -> tuple[str | None, int]:
    """Return host and port of `8000`, `:8000`, `0.0.0.0:8000` or `[::1]:8000`."""
    match = re.fullmatch(r"(?:(?P<host>[\w.-]+|\[[\da-fA-F:.]+\])?:)?(?P<port>\d{1,5})", address, re.ASCII)
    if not match or int(match["port"]) > sockets.MAX_PORT:
        raise typer.BadParameter(f"{address!r} is not an address. Write [ADDRESS:]PORT: 8000 or 0.0.0.0:8000.")
    address_host = (match["host"] or "").strip("[]") or None
    if port is not None or (host is not None and address_host is not None):
        raise typer.BadParameter(f"{address} cannot be combined with --host and --port. Omit them.")
    return address_host or host, int(match["port"])


def _settings_with_https(https: bool | None) -> Settings:
    """Return the settings, with the option --https applied to this process and its workers."""
    if https is not None and https != get_settings().local_https:
        os.environ["LOCAL_HTTPS"] = str(https).lower()
        clear_settings_cache()
    return get_settings()


def reserve(host: str, port: int, *, use_free_port: bool | None = None) -> socket.socket:
    """Open the port, or the next free one if it is in use.

    `use_free_port` is True to use another port, False to refuse it, and None to ask the user.
    """
    try:
        return sockets.reserve(host, port)
    except sockets.PortTakenError as error:
        free_port = sockets.next_free_port(host, port)
        if free_port is None:
            raise
        if use_free_port:
            say(f"Port {port} is in use. Using {free_port} instead.")
        elif use_free_port is None and sys.stdin.isatty():
            use_free_port = typer.confirm(f"Port {port} is in use. Use {free_port}?", default=True)
        if use_free_port:
            return sockets.reserve(host, free_port)
        raise OperatorError(f"Port {port} is in use. Run: python3 oppman.py runserver {free_port}") from error


def check_database(settings: Settings, *, migrate: bool) -> None:
    """Apply migrations if requested, and warn about problems of the database and the settings."""
    schema = startup.inspect_schema(settings)
    if migrate and (schema.pending or schema.is_behind_code):
        startup.apply_migrations(settings)
        schema = startup.inspect_schema(settings)
    url = DatabaseUrl.parse(settings.database_url.get_secret_value())
    lines = [*schema.faults, *schema.warnings, startup.data_loss_warning(settings), unused_database_notice(settings)]
    lines += [open_storage(settings).data_loss_warning, *startup.settings_left_out().values(), url.readonly_notice]
    if settings.is_production:
        checks = start_checks(all_features(installed_features()))
        lines += [finding.text for check in checks for finding in check(settings)]
    logs_json = settings.log_format == "json"  # collectors parse each line of stderr
    if logs_json:
        dictConfig(logging_config(settings))
    report = partial(logger.warning, "%s") if logs_json else warn
    for line in filter(None, lines):
        report(line)
