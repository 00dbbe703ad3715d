"""Put database and uploads into one file."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from opportune.cli.output import print_json, print_table, say, show_work_progress, warn
from opportune.cli.transaction import in_transaction
from opportune.config.project import display_path, installed_names
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions_of
from opportune.errors import OperatorError
from opportune.jobs.last_runs import record_run
from opportune.ops.backup import create, jobs, scheduled
from opportune.ops.backup.archive import UPLOADS, open_archive
from opportune.ops.backup.store import BackupStore

COLUMNS = ("FILE", "MADE (UTC)", "KB", "UPLOADS", "DATABASE")


def command(
    destination: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE|FOLDER",
            help="A folder, or a file that ends in .zip. [default: BACKUP_URL, or data/backups where that is empty]",
        ),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="Keep this many backups of this database in that folder, the newest.")
    ] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the backups in the folder, and make none.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The list for programs.")] = False,
) -> None:
    settings = get_settings()
    goes_away = destination is None and bool(settings.backup_url.get_secret_value().strip())
    if listing or as_json:
        found = stored_backups(settings) if goes_away else backups_in(destination or create.BACKUP_FOLDER)
        tell(sorted(found, key=lambda each: each["created"], reverse=True), as_json)
        return
    if goes_away:
        if keep:
            raise typer.BadParameter("at BACKUP_URL it is BACKUP_KEEP that says it.", param_hint="--keep")
        send(settings)
        return
    with show_work_progress():
        path = create.create_backup(
            settings, MigrationGraph(installed_names()), destination, notify=lambda line: warn(f"Notice: {line}")
        )
    say(f"Backed up to {path} ({path.stat().st_size / 1000:,.0f} kB).")
    for old in create.prune(path, keep) if keep else ():
        say(f"Removed {old}.")


def send(settings: Settings) -> None:
    """Make one at BACKUP_URL, as the job does, and have it shown as the job's."""

    graph = MigrationGraph(installed_names())
    with show_work_progress():
        made = scheduled.send_backup(settings, graph, lambda line: warn(f"Notice: {line}"))
    say(f"Backed up to {BackupStore(settings).label}: {made}.")
    for old in made.superseded:
        say(f"Removed {old.name}.")
    if not graph.pending(recorded_revisions_of(settings)):
        in_transaction(lambda session: record_run(session, jobs.BACKUP, str(made)))


def stored_backups(settings: Settings) -> Iterator[Mapping[str, Any]]:
    """Backups at BACKUP_URL. Their contents are unknown until they are read."""
    for backup in BackupStore(settings).all():
        yield {"file": backup.name, "created": backup.made, "bytes": backup.bytes, "encrypted": backup.is_encrypted}


def backups_in(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The backups in a folder; what is none is passed over.

    Raises:
        OperatorError: there is no such folder.
    """
    if not folder.is_dir() and folder.resolve() != create.BACKUP_FOLDER.resolve():
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
        shown = len(COLUMNS) if "uploads" in found[0] else COLUMNS.index("UPLOADS")
        print_table(COLUMNS[:shown], (_row(each)[:shown] for each in found), right=("KB", "UPLOADS"))
    else:
        say("There are no backups.")


def _row(backup: Mapping[str, Any]) -> tuple[object, ...]:
    made, kilobytes = f"{backup['created']:%Y-%m-%d %H:%M}", f"{backup['bytes'] / 1000:,.0f}"
    return backup["file"], made, kilobytes, backup.get("uploads", ""), backup.get("database", "")
