"""Write rows as JSON.

loaddata reads it. Hashes of passwords and of sessions are data: keep the file secret.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.transaction import migrated_settings
from opportune.config.project import installed_features, installed_names
from opportune.db.migrations.connection import migration_url
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.ops.copydb.connections import explained_errors, snapshot
from opportune.ops.fixtures.dump import dump
from opportune.ops.fixtures.names import select_tables, tables_by_name
from opportune.ops.fixtures.natural_keys import natural_keys
from opportune.runtime.atomic_files import replacement


def command(
    wanted: Annotated[
        list[str] | None,
        typer.Argument(metavar="FEATURE[.TABLE]", help="Only these, such as accounts or accounts.user."),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file, which only you will be able to read.")] = None,
    indent: Annotated[int | None, typer.Option(min=0, max=16, help="Spread each row over lines.")] = None,
    natural: Annotated[
        bool, typer.Option("--natural", help="Tell rows by their natural key where they have one, not by numbers.")
    ] = False,
) -> None:
    tables = select_tables(tables_by_name(Model.metadata, installed_names()), wanted or [], installed_names())
    models = [model for feature in installed_features() for model in feature.models]
    keys = natural_keys(models) if natural else None
    url = migration_url(migrated_settings())
    with snapshot(url) as connection, explained_errors(url):
        if output is None:
            for piece in dump(connection, tables, indent, keys):
                sys.stdout.buffer.write(piece)
            return
        try:
            with replacement(output) as file:
                file.writelines(dump(connection, tables, indent, keys))
        except OSError as error:
            raise OperatorError(f"{output} cannot be written: {error.strerror}.") from error
