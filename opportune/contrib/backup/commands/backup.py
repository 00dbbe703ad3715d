"""Back up the database and the uploads to one file."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from opportune.cli.output import print_json, print_table, say, show_work_progress, warn
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings, get_settings
from opportune.contrib.backup import create, jobs, scheduled
from opportune.contrib.backup.encryption import is_encrypting
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import BackupStore
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.errors import OperatorError
from opportune.jobs.schedules import record_run
from opportune.project.installed import installed_names
from opportune.project.layout import display_path

COLUMNS = {"file": "FILE", "created": "CREATED (UTC)", "bytes": "KB", "uploads": "UPLOADS", "database": "DATABASE"}
"""Headings of the table by key of the JSON."""


def command(
    destination: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="A folder, or a file that ends in .zip. [default: BACKUP_URL if it is set, else data/backups]",
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Number of backups of this database to keep in the folder.")
    ] = None,
    show_list: Annotated[bool, typer.Option("--list", help="List the backups instead of creating one.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="List the backups as JSON.")] = False,
) -> None:
    settings = get_settings()
    is_remote = destination is None and settings.of(BackupSettings).location is not None
    is_list = show_list or as_json
    if keep and (is_list or is_remote):
        reason = "A list deletes no backups." if is_list else "BACKUP_KEEP sets it for BACKUP_URL."
        raise typer.BadParameter(f"{reason} Omit --keep.", param_hint="--keep")
    if is_list:
        backups = read_stored_backups(settings) if is_remote else find_backups(destination or create.BACKUP_FOLDER)
        print_backups(sorted(backups, key=lambda backup: backup["created"], reverse=True), as_json=as_json)
    elif is_remote:
        send_backup(settings)
    else:
        write_backup(settings, destination, keep)


def write_backup(settings: Settings, destination: Path | None, keep: int | None) -> None:
    """Create a backup on this machine. Delete older ones in its folder, so that `keep` remain."""
    with show_work_progress():
        graph = MigrationGraph(installed_names())
        path = create.create_backup(settings, graph, destination, notify=lambda line: warn(f"Notice: {line}"))
    say(f"Backed up to {path} ({path.stat().st_size / 1000:,.0f} kB).")
    if is_encrypting(settings.of(BackupSettings)):
        warn("Notice: this file is not encrypted. Only backups at BACKUP_URL are.")
    if keep:
        for removed in create.prune(path, keep):
            say(f"Removed {removed}.")


def send_backup(settings: Settings) -> None:
    """Create a backup at BACKUP_URL, and record the run as the backup job does."""
    graph = MigrationGraph(installed_names())
    with show_work_progress():
        backup = scheduled.send_backup(settings, graph, lambda line: warn(f"Notice: {line}"))
    say(f"Backed up to {BackupStore(settings).label}: {backup}.")
    for removed in backup.superseded:
        say(f"Removed {removed.name}.")
    if not graph.pending(read_revisions_of_site(settings)):
        in_transaction(lambda session: record_run(session, jobs.BACKUP, str(backup)))


def read_stored_backups(settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Yield name, time and size of the backups at BACKUP_URL, which are not downloaded."""
    for backup in BackupStore(settings).list_own():
        yield {"file": backup.name, "created": backup.created, "bytes": backup.size, "encrypted": backup.is_encrypted}


def find_backups(folder: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the backups in a folder. Other files are ignored."""
    if not folder.is_dir() and folder.resolve() != create.BACKUP_FOLDER.resolve():
        raise OperatorError(f"There is no folder {folder}. Enter a folder with backups.")
    for path, manifest in create.backups_in(folder):
        yield {
            "file": display_path(path.absolute()),
            "created": manifest.created,
            "bytes": path.stat().st_size,
            "database": manifest.source,
            "uploads": len(manifest.uploads),
        }


def print_backups(backups: list[Mapping[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(backups)
    elif backups:
        names = [name for name in COLUMNS if name in backups[0]]  # the content of backups at BACKUP_URL is unknown
        rows = [[_format_cell(name, backup[name]) for name in names] for backup in backups]
        print_table([COLUMNS[name] for name in names], rows, right=("KB", "UPLOADS"))
    else:
        say("There are no backups.")


def _format_cell(name: str, value: Any) -> Any:
    match name:
        case "created":
            return f"{value:%Y-%m-%d %H:%M}"
        case "bytes":
            return f"{value / 1000:,.0f}"
    return value
