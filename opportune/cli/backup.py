"""`backup`: database and uploads in one file."""

from pathlib import Path
from typing import Annotated

import typer

from opportune.data.backup.create import create_backup, prune
from opportune.db.migrations.graph import MigrationGraph
from opportune.project import installed_names
from opportune.settings import get_settings


def command(
    destination: Annotated[
        Path | None,
        typer.Argument(metavar="FILE|FOLDER", help="A folder, or a file that ends in .zip. Without it: data/backups."),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep this many backups of this database in that folder, the newest.")
    ] = None,
) -> None:
    path = create_backup(
        get_settings(),
        MigrationGraph(installed_names()),
        destination,
        notify=lambda line: typer.echo(f"Notice: {line}", err=True),
    )
    print(f"Backed up to {path} ({path.stat().st_size / 1000:,.0f} kB).")
    for old in prune(path, keep) if keep else ():
        print(f"Removed {old}.")
