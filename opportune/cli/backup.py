"""`backup`: database and uploads in one file."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from opportune.cli.output import print_json, print_table, say, warn, work_shown
from opportune.data.backup import create
from opportune.data.backup.archive import UPLOADS, open_archive
from opportune.db.migrations.graph import MigrationGraph
from opportune.errors import OperatorError
from opportune.project import display_path, installed_names
from opportune.settings import get_settings


def command(
    destination: Annotated[
        Path | None,
        typer.Argument(metavar="[FILE|FOLDER]", help="A folder, or a file that ends in .zip. [default: data/backups]"),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep this many backups of this database in that folder, the newest.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the backups in the folder, and make none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The list for programs.")] = False,
) -> None:
    if listing or as_json:
        tell(
            sorted(backups_in(destination or create.BACKUP_FOLDER), key=lambda each: each["created"], reverse=True),
            as_json,
        )
        return
    with work_shown():
        path = create.create_backup(
            get_settings(), MigrationGraph(installed_names()), destination, notify=lambda line: warn(f"Notice: {line}")
        )
    say(f"Backed up to {path} ({path.stat().st_size / 1000:,.0f} kB).")
    for old in create.prune(path, keep) if keep else ():
        say(f"Removed {old}.")


def backups_in(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The backups in a folder; what is none is passed over.

    Raises:
        OperatorError: there is no such folder.
    """
    if not folder.is_dir() and folder != create.BACKUP_FOLDER:
        raise OperatorError(f"There is no folder {folder} to list the backups of.")
    for path in folder.glob("*.zip"):
        with suppress(OperatorError, OSError), open_archive(path) as archive:
            uploads = sum(name.startswith(UPLOADS) for name in archive.manifest.members)
            found = {"file": display_path(path.absolute()), "created": archive.manifest.created}
            yield {**found, "bytes": path.stat().st_size, "database": archive.manifest.source, "uploads": uploads}


def tell(found: list[Mapping[str, Any]], as_json: bool) -> None:
    if as_json:
        print_json(found)
    elif found:
        print_table(("FILE", "MADE (UTC)", "KB", "UPLOADS", "DATABASE"), map(_row, found), right=("KB", "UPLOADS"))
    else:
        say("There are no backups.")


def _row(backup: Mapping[str, Any]) -> tuple[object, ...]:
    made, kilobytes = f"{backup['created']:%Y-%m-%d %H:%M}", f"{backup['bytes'] / 1000:,.0f}"
    return backup["file"], made, kilobytes, backup["uploads"], backup["database"]
