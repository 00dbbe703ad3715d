"""Restore the database and the uploads from a backup."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import typer
from pydantic import SecretStr

from opportune.cli.options import NoInput
from opportune.cli.output import say, show_work_progress
from opportune.cli.transaction import in_transaction
from opportune.config.settings import Settings, get_settings
from opportune.contrib.backup import jobs, rehearsal
from opportune.contrib.backup.age import SUFFIX
from opportune.contrib.backup.archive import UPLOADS, Manifest, open_archive
from opportune.contrib.backup.encryption import decrypt
from opportune.contrib.backup.restore import Target, restore_backup
from opportune.contrib.backup.scheduled import scratch_folder
from opportune.contrib.backup.settings import BackupSettings
from opportune.contrib.backup.store import NAME, BackupStore
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions_of_site
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.jobs.schedules import record_run
from opportune.project.layout import installed_names
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
        bool,
        typer.Option("--rehearse", help="Only test the restore, in a temporary database."),
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
    with open_backup(settings, name) as file:
        restore(file, name, no_input=no_input, from_another_site=from_another_site)


def read_identity(path: Path) -> SecretStr:
    try:
        return SecretStr(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise OperatorError(f"{path} cannot be read: it is not text.") from None


def rehearse(settings: Settings, name: str) -> None:
    graph, tables = MigrationGraph(installed_names()), Model.metadata.tables.keys()
    if is_local_file(settings, name):
        with show_work_progress(), open_backup(settings, name) as file:
            result = str(rehearsal.rehearse_file(file, name, Target(settings, graph, tables)))
        say(f"Tested the restore. {result}.")
        return
    with show_work_progress():
        result = str(rehearsal.rehearse(settings, graph, tables, name))
    say(f"Tested the restore. {result}.")
    if not graph.pending(read_revisions_of_site(settings)):
        in_transaction(lambda session: record_run(session, jobs.REHEARSAL, result))


@contextmanager
def open_backup(settings: Settings, name: str) -> Iterator[Path]:
    """Open a local archive, or download one from BACKUP_URL for the duration of the block."""
    path, is_local = Path(name), is_local_file(settings, name)
    if is_local and settings.of(BackupSettings).location is not None and not path.exists():
        raise OperatorError(f"There is no file {name}. `backup --list` shows the names at BACKUP_URL.")
    if is_local and path.suffix != SUFFIX:
        yield path
        return
    with scratch_folder() as folder, (folder / "backup.zip").open("xb") as file:
        if is_local:
            decrypt_file(path, file, settings)
        else:
            store = BackupStore(settings)
            backup = store.find(name)
            say(f"Downloading {backup.name} from {store.label}.")
            store.fetch(backup, file)
        yield Path(file.name)


def is_local_file(settings: Settings, name: str) -> bool:
    """Return True for a local file, False for a name at BACKUP_URL, or no name, which means the newest one there."""
    can_be_at_url = settings.of(BackupSettings).location is not None and NAME.fullmatch(name)
    return bool(name) and (Path(name).exists() or not can_be_at_url)


def decrypt_file(path: Path, file: BinaryIO, settings: Settings) -> None:
    try:
        with path.open("rb") as source:
            decrypt(str(path), source, file, settings.of(BackupSettings))
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
    file.flush()


def restore(file: Path, name: str, *, no_input: bool, from_another_site: bool) -> None:
    if not (no_input or sys.stdin.isatty()):
        with open_archive(file):  # report an invalid file first
            raise typer.BadParameter("Replacing all data needs a confirmation. Add --no-input.")
    target = Target(get_settings(), MigrationGraph(installed_names()), Model.metadata.tables.keys())
    with show_work_progress():
        result = restore_backup(
            file,
            target,
            lambda manifest: None if no_input else confirm(manifest, target),
            argument=name or "--latest",
            from_another_site=from_another_site,
        )
    say(f"Restored {name or 'the newest backup'}.")
    if result.previous_database:
        say(f"The previous database was kept as {result.previous_database}.")
    if result.previous_uploads:
        say(f"The previous uploads were kept as {result.previous_uploads}.")
    if notice := uploads_notice(result.manifest, target):
        print(notice)
    if pending := target.graph.pending(result.manifest.revisions):
        print(f"The backup lacks {', '.join(map(str, pending))}. Run: python3 oppman.py migrate")


def uploads_notice(manifest: Manifest, target: Target) -> str:
    """Return a notice about uploads that were not restored; empty if there are none."""
    storage = target.location
    if manifest.elsewhere:
        is_restored = isinstance(storage, DatabaseFiles) and manifest.elsewhere == storage.label
        return "" if is_restored else f"The uploads are in {manifest.elsewhere}. Set STORAGE_URL to this location."
    has_uploads = any(name.startswith(UPLOADS) for name in manifest.members)
    if isinstance(storage, Path) or not has_uploads:
        return ""
    if isinstance(storage, Bucket) and not manifest.bucket:
        return f"The uploads were not restored to {storage.label}. Unpack {UPLOADS} of the archive there."
    if isinstance(storage, DatabaseFiles) and target.graph.pending(manifest.revisions):
        return (
            f"The uploads were not restored, because the database has no tables for them yet. Unpack {UPLOADS} of the "
            "archive, and set STORAGE_URL to that folder."
        )
    return ""


def confirm(manifest: Manifest, target: Target) -> None:
    site = f"{manifest.site}, {manifest.source}," if manifest.site else manifest.source
    print(f"This backup of {site} was created at {manifest.created:%Y-%m-%d %H:%M} UTC.")
    print(f"It will replace all data in {target.url.redacted}.")
    if typer.prompt("Type yes to continue") != "yes":
        raise typer.Abort
