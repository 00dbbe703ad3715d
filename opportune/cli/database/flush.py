"""Delete all rows and keep the tables.

Users go as well. Tables and the record of migrations stay; numbering begins again.

Groups that features ship and indexes for search, which `migrate` adds, are there again afterwards.
"""

import sys
from typing import Annotated

import typer
from sqlalchemy import Connection, inspect

from opportune.cli.options import NoInput
from opportune.cli.output import say
from opportune.cli.transaction import migrated_settings
from opportune.db.migrations.connection import acquire_migration_lock, migration_url
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.ops.copydb.checks import count, in_order
from opportune.ops.copydb.connections import destination, explained_errors, snapshot
from opportune.ops.copydb.writers import writer_for
from opportune.runtime.counts import counted


def command(
    yes: NoInput = False,
    force: Annotated[bool, typer.Option("--force", help="In production, too.")] = False,
) -> None:
    settings = migrated_settings()
    if settings.is_production and not force:
        raise OperatorError("This is production: nothing was deleted. `backup` first, and say --force if it is meant.")
    url = migration_url(settings)
    if not yes:
        ask(url)
    print_result(empty(url), url)


def ask(url: DatabaseURL) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("Nobody can be asked whether all rows may be deleted: say so by --yes.")
    with snapshot(url) as connection, explained_errors(url):
        rows = sum(count(connection, table) for table in in_order(Model.metadata))
    print(f"All {rows:,} rows in {url.redacted} will be deleted, users and their sessions with them.")
    print(
        "Tables, migrations and uploaded files outside of it stay. What `backup` has not kept cannot be brought back."
    )
    if typer.prompt("Type yes to go on") != "yes":
        raise typer.Abort


def empty(url: DatabaseURL) -> int:
    """Delete every row in one transaction, and return how many there were.

    Raises:
        OperatorError: nothing was deleted.
    """
    tables = in_order(Model.metadata)
    with destination(url) as connection, explained_errors(url):
        acquire_migration_lock(connection)
        refuse_pointed_at(connection)
        writer = writer_for(connection)
        writer.reserve(tables)
        rows = sum(count(connection, table) for table in tables)
        writer.clear(tables, restart_numbers=True)
        run_due_statements(connection)
    return rows


def refuse_pointed_at(connection: Connection) -> None:
    """Stop where rows of tables that are not ours would point at nothing.

    Raises:
        OperatorError: it names the first.
    """
    ours = Model.metadata.tables
    for (_, table), keys in inspect(connection).get_multi_foreign_keys().items():
        for key in keys if table not in ours else ():
            if key["referred_table"] in ours:
                raise OperatorError(
                    f"Nothing was deleted: {table}, a table of no installed feature, points at "
                    f"{key['referred_table']}. Drop it, or install its feature."
                )


def print_result(rows: int, url: DatabaseURL) -> None:
    say(f"Deleted {counted(rows, 'row')} of {url.redacted}.")
    say("Nobody can sign in any more: python3 oppman.py createsuperuser")
