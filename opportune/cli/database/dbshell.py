"""Open the client of the database, sqlite3 or psql.

Example: dbshell -- -c 'select 1'
"""

import os
import shutil
import sys
from typing import Annotated

import typer

from opportune.cli.development import startup
from opportune.cli.loop import open_event_loop
from opportune.cli.process import exec_process
from opportune.config.settings import Settings, get_settings
from opportune.db.factory import open_database
from opportune.db.url.database_url import DatabaseUrl
from opportune.errors import OperatorError


def command(
    arguments: Annotated[list[str] | None, typer.Argument(help="Arguments of sqlite3 or psql, after --.")] = None,
) -> None:
    settings = get_settings()
    url = DatabaseUrl.parse(settings.database_url.get_secret_value())
    client = _psql_command(url) if url.kind == "postgresql" else _sqlite_command(url)
    with open_event_loop() as loop:
        loop.run(check_connection(settings))
    exec_process([*client, *(arguments or [])], {**os.environ, **url.environ})


async def check_connection(settings: Settings) -> None:
    """Check the connection, so that errors are reported in one line."""
    async with open_database(settings) as database:
        await database.ping(reader=False)


def _sqlite_command(url: DatabaseUrl) -> list[str]:
    startup.require_file(url)
    if shutil.which("sqlite3"):
        return ["sqlite3", str(url.path)]
    if sys.version_info >= (3, 12):
        return [sys.executable, "-m", "sqlite3", str(url.path)]
    raise OperatorError("The program sqlite3 is missing. Install it (Debian: apt install sqlite3).")


def _psql_command(url: DatabaseUrl) -> list[str]:
    if not shutil.which("psql"):
        raise OperatorError("The program psql is missing. Install it (Debian: apt install postgresql-client).")
    return ["psql", url.conninfo]
