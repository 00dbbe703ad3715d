"""Write rows as JSON for loaddata.

The file contains hashes of passwords and sessions, so keep it secret.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.transaction import migrated_settings
from opportune.contrib.copydb.connections import explained_errors, open_snapshot
from opportune.contrib.dumps.dump import dump
from opportune.contrib.dumps.names import natural_keys, select_tables, tables_by_name
from opportune.db.models.model import Model
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.project.atomic_files import open_replacement
from opportune.project.installed import installed_features, installed_names


def command(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FEATURE[.TABLE]", help="Features or tables, such as accounts or accounts.user. [default: all]"
        ),
    ] = None,
    output: Annotated[Path | None, typer.Option(help="Output file, readable only by you.")] = None,
    indent: Annotated[int | None, typer.Option(min=0, max=16, help="Indent the JSON by this many spaces.")] = None,
    natural: Annotated[
        bool, typer.Option("--natural", help="Identify rows by natural keys instead of ids, if they have one.")
    ] = False,
) -> None:
    tables = select_tables(tables_by_name(Model.metadata, installed_names()), names or [], installed_names())
    models = [model for feature in installed_features() for model in feature.models]
    keys = natural_keys(models) if natural else None
    url = direct_url(migrated_settings())
    with open_snapshot(url) as connection, explained_errors(url):
        if output is None:
            for chunk in dump(connection, tables, indent, keys):
                sys.stdout.buffer.write(chunk)
            return
        try:
            with open_replacement(output) as file:
                file.writelines(dump(connection, tables, indent, keys))
        except OSError as error:
            raise OperatorError(f"{output} cannot be written: {error.strerror}.") from error
