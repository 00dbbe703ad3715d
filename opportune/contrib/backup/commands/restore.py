"""Restore the database and the uploads from a backup."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from opportune.cli.options import NoInput, require_terminal
from opportune.cli.output import say, show_work_progress
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings, get_settings
from opportune.contrib.backup import jobs, rehearsal
from opportune.contrib.backup.archive import UPLOADS, Manifest, open_archive
from opportune.contrib.backup.opening import is_local_file, open_backup
from opportune.contrib.backup.restore import Target, restore_backup
from opportune.contrib.backup.settings import BackupSettings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.errors import OperatorError
from opportune.jobs.schedules import record_run
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_names
from opportune.project.text_files import read_text
from opportune.storage.location import Bucket, DatabaseFiles


def command(
    name: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="File written by `backup`, or name of a backup at BACKUP_URL.")
    ] = "",
    latest: Annotated[bool, typer.Option("--latest", help="Restore the newest backup at BACKUP_URL.")] = False,
    no_input: NoInput = False,
    from_another_site: Annotated[
        bool, typer.Option("--from-another-site", help="Also restore a backup of another site, or of more features.")
    ] = False,
    is_rehearsal: Annotated[
        bool, typer.Option("--rehearse", help="Only test the restore, in a temporary database.")
    ] = False,
    identity: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the private key of BACKUP_RECIPIENT, from age-keygen."),
    ] = None,
) -> None:
    is_missing = not (name or latest or is_rehearsal)  # a rehearsal tests the newest backup by default
    if is_missing or (name and latest):
        raise typer.BadParameter("Enter a file, a name from `backup --list`, or --latest.")
    settings = get_settings()
    if identity:
        keys = {"backup_identity": read_identity(identity)}
        settings = settings.having(settings.of(BackupSettings).model_copy(update=keys))
    if is_rehearsal:
        rehearse(settings, name)
        return
    with show_work_progress(), open_backup(settings, name) as backup:
        restore(settings, backup.path, name, no_input=no_input, from_another_site=from_another_site)


def read_identity(path: Path) -> SecretStr:
    text = read_text(path)
    if not text.strip():
        raise OperatorError(f"{path} is empty. Name the file that age-keygen wrote.")
    return SecretStr(text)


def rehearse(settings: Settings, name: str) -> None:
    """Restore a backup into a temporary database. Record it if the backup is at BACKUP_URL and the site is migrated."""
    graph = MigrationGraph(installed_names())
    with show_work_progress():
        result = rehearsal.rehearse(settings, graph, name)
    say(f"Tested the restore. {result}.")
    if not is_local_file(settings, name) and not graph.pending(read_revisions_of_site(settings)):
        in_transaction(lambda session: record_run(session, jobs.REHEARSAL, str(result)))


def restore(settings: Settings, file: Path, name: str, *, no_input: bool, from_another_site: bool) -> None:
    """Restore an archive after a confirmation, and report what remains to be done."""
    if not no_input:
        with open_archive(file):  # report an invalid file first
            require_terminal("Replacing all data", "--no-input")
    target = Target(settings, MigrationGraph(installed_names()))

    def confirm(manifest: Manifest) -> None:
        if not no_input:
            ask_for_confirmation(manifest, target)

    result = restore_backup(file, target, confirm, argument=name or "--latest", from_another_site=from_another_site)
    say(f"Restored {name or 'the newest backup'}.")
    if result.previous_database:
        say(f"The previous database was kept as {result.previous_database}.")
    if result.previous_uploads:
        say(f"The previous uploads were kept as {result.previous_uploads}.")
    if notice := uploads_notice(result.manifest, target):
        print(notice)
    if pending := target.graph.pending(result.manifest.revisions):
        print(f"The backup lacks {', '.join(map(str, pending))}. Run: {OPPMAN} migrate")


def uploads_notice(manifest: Manifest, target: Target) -> str | None:
    """Return a notice about uploads that were not restored; None if there are none."""
    storage = target.location
    if manifest.elsewhere:
        if isinstance(storage, DatabaseFiles) and manifest.elsewhere == storage.label:
            return None
        return f"The uploads are in {manifest.elsewhere}. Set STORAGE_URL to this location."
    if isinstance(storage, Path) or not manifest.uploads:
        return None
    if isinstance(storage, Bucket) and not manifest.bucket:
        return f"The uploads were not restored to {storage.label}. Unpack {UPLOADS} of the archive there."
    if isinstance(storage, DatabaseFiles) and target.graph.pending(manifest.revisions):
        return (
            f"The uploads were not restored, because the database has no tables for them yet. Unpack {UPLOADS} of the "
            "archive, and set STORAGE_URL to that folder."
        )
    return None


def ask_for_confirmation(manifest: Manifest, target: Target) -> None:
    """Ask the user whether to replace all data."""
    site = f"{manifest.site}, {manifest.source}," if manifest.site else manifest.source
    print(f"This backup of {site} was created at {manifest.created:%Y-%m-%d %H:%M} UTC.")
    print(f"It will replace all data in {target.url.redacted}.")
    if typer.prompt("Type yes to continue") != "yes":
        raise typer.Abort
