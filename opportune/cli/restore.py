"""`restore`: database and uploads as they were when a backup was made."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from opportune.cli.output import say, work_shown
from opportune.data.backup.archive import UPLOADS, Manifest, open_archive
from opportune.data.backup.restore import Target, restore_backup
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.model import Model
from opportune.project import installed_names
from opportune.settings import get_settings
from opportune.storage.location import DatabaseFiles


def command(
    file: Annotated[Path, typer.Argument(help="A file that `backup` has written.")],
    no_input: Annotated[bool, typer.Option("--no-input", help="Do not ask before all data is replaced.")] = False,
) -> None:
    if not (no_input or sys.stdin.isatty()):
        with open_archive(file):  # what is no backup is the first thing to know
            raise typer.BadParameter("Nobody can be asked whether all data may be replaced: say so by --no-input.")
    target = Target(get_settings(), MigrationGraph(installed_names()), Model.metadata.tables.keys())
    with work_shown():
        restored = restore_backup(file, target, lambda manifest: None if no_input else ask(manifest, target))
    say(f"Restored {file}.")
    if restored.kept:
        say(f"The database before is kept as {restored.kept}.")
    if notice := uploads_left(restored.manifest, target):
        print(notice)
    if pending := target.graph.pending(restored.manifest.revisions):
        print(f"It lacks {', '.join(map(str, pending))}. Run: python3 oppman.py migrate")


def uploads_left(manifest: Manifest, target: Target) -> str:
    """What is said where uploads are not as they were."""
    place = target.place
    if manifest.elsewhere:
        if isinstance(place, DatabaseFiles) and manifest.elsewhere == place.label:
            return ""
        return f"Its uploads are in {manifest.elsewhere}: set STORAGE_URL to that place."
    if isinstance(place, Path) or not any(name.startswith(UPLOADS) for name in manifest.members):
        return ""
    if not isinstance(place, DatabaseFiles):
        return f"Its uploads are not restored into {place.label}: unpack {UPLOADS} of the archive there."
    return (
        f"Its uploads are not restored into the database: unpack {UPLOADS} of the archive, and set STORAGE_URL to that "
        "folder."
    )


def ask(manifest: Manifest, target: Target) -> None:
    print(f"This backup of {manifest.source} was made at {manifest.created:%Y-%m-%d %H:%M} UTC.")
    print(f"All data in {target.url.redacted} will be replaced by it.")
    if typer.prompt("Type yes to go on") != "yes":
        raise typer.Abort
