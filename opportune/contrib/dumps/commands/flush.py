"""Delete all rows and keep the tables.

This includes all users. The record of applied migrations is kept, and ids start at 1 again.

Groups of features and search indexes are created again, as by `migrate`.
"""

from typing import Annotated

import typer
from sqlalchemy import Connection, inspect

from opportune.cli.options import NoInput, require_terminal
from opportune.cli.output import say
from opportune.cli.transaction import migrated_settings
from opportune.contrib.copydb.connections import explained_errors, open_destination, open_snapshot
from opportune.contrib.copydb.tables import count_rows, sort_tables
from opportune.contrib.copydb.writers import writer_for
from opportune.db.migrations.locks import acquire_migration_lock
from opportune.db.migrations.post_migrate import run_due_statements
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.plurals import pluralize
from opportune.project.current import OPPMAN


def command(
    yes: NoInput = False, force: Annotated[bool, typer.Option("--force", help="Allow it in production.")] = False
) -> None:
    settings = migrated_settings()
    if settings.is_production and not force:
        raise OperatorError("This is production, so nothing was deleted. Create a backup, and add --force to continue.")
    url = direct_url(settings)
    if not yes:
        confirm(url)
    print_result(delete_all_rows(url), url)


def confirm(url: DatabaseUrl) -> None:
    require_terminal("Deleting all rows")
    with open_snapshot(url) as connection, explained_errors(url):
        rows = sum(count_rows(connection, table) for table in sort_tables(Model.metadata))
    print(f"This deletes {pluralize(rows, 'row')} in {url.redacted}, including users and their sessions.")
    print("It keeps tables, migrations and uploaded files outside the database. Without a backup it cannot be undone.")
    if typer.prompt("Type yes to continue") != "yes":
        raise typer.Abort


def delete_all_rows(url: DatabaseUrl) -> int:
    """Delete all rows in one transaction, and return the number of deleted rows."""
    tables = sort_tables(Model.metadata)
    with open_destination(url) as connection, explained_errors(url):
        acquire_migration_lock(connection)
        refuse_foreign_references(connection)
        writer = writer_for(connection)
        writer.lock_tables(tables)
        rows = sum(count_rows(connection, table) for table in tables)
        writer.clear(tables, restart_numbers=True)
        run_due_statements(connection)
    return rows


def refuse_foreign_references(connection: Connection) -> None:
    """Check that tables of other applications do not refer to our rows."""
    for (_, table), keys in inspect(connection).get_multi_foreign_keys().items():
        if table in Model.metadata.tables:
            continue
        for key in keys:
            if key["referred_table"] in Model.metadata.tables:
                raise OperatorError(
                    f"Nothing was deleted, because the table {table} of no installed feature refers to "
                    f"{key['referred_table']}. Drop it, or install its feature."
                )


def print_result(rows: int, url: DatabaseUrl) -> None:
    say(f"Deleted {pluralize(rows, 'row')} in {url.redacted}.")
    say(f"Create a new user: {OPPMAN} createsuperuser")
