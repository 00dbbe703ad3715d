"""`oppman.py runserver`: the site on a port, in one process, in several, or reloading itself."""

import sys
from typing import Annotated

import typer

from opportune.checks import START_CHECKS
from opportune.cli import server, startup
from opportune.db.url.database_url import DatabaseURL
from opportune.settings import Settings, get_settings
from opportune.storage import open_storage

Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: HOST]")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on. [default: PORT]")]


def command(
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that serve.")] = 1,
    migrate: Annotated[bool, typer.Option("--migrate", help="Apply migrations first.")] = False,
    reload: Annotated[
        bool | None, typer.Option(help="Restart when code changes. [default: in development, with one worker]")
    ] = None,
) -> None:
    """Run the site until Ctrl-C; in development it reloads itself."""
    settings = get_settings()
    startup.read_addresses(settings)
    if reload is None:
        reload = settings.environment == "development" and workers == 1
    elif reload and workers > 1:
        raise typer.BadParameter("a server that reloads has one worker.", param_hint="--reload")
    with server.reserve(host or server.address(settings), settings.port if port is None else port) as listener:
        look_at_database(settings, migrate)
        server.serve(listener, settings, workers=workers, reload=reload)


def look_at_database(settings: Settings, migrate: bool) -> None:
    """Refuse to start without a database; tell what is wrong with one that can be used."""
    schema = startup.inspect_schema(settings)
    if migrate and (schema.pending or schema.is_behind_code):
        startup.apply_migrations(settings)
        schema = startup.inspect_schema(settings)
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    lost = startup.data_loss_warning(settings), open_storage(settings).data_loss_warning
    missed = [finding.text for check in START_CHECKS for finding in check(settings)] if settings.is_production else []
    for line in (*schema.faults, *lost, url.written_never, *missed):
        if line:
            print(line, file=sys.stderr)
