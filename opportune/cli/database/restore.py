"""Bring database and uploads back from a backup."""

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
from opportune.config.project import installed_names
from opportune.config.settings import Settings, get_settings
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions_of
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.jobs.last_runs import record_run
from opportune.ops.backup import jobs, rehearsal
from opportune.ops.backup.age import SUFFIX
from opportune.ops.backup.archive import UPLOADS, Manifest, open_archive
from opportune.ops.backup.encryption import decrypt
from opportune.ops.backup.restore import Target, restore_backup
from opportune.ops.backup.scheduled import scratch_folder
from opportune.ops.backup.store import NAME, BackupStore, backup_location
from opportune.storage.location import Bucket, DatabaseFiles


def command(
    name: Annotated[
        str, typer.Argument(metavar="FILE|NAME", help="A file that `backup` has written, or one at BACKUP_URL.")
    ] = "",
    latest: Annotated[bool, typer.Option("--latest", help="Take the newest one at BACKUP_URL.")] = False,
    no_input: NoInput = False,
    from_another_site: Annotated[
        bool, typer.Option("--from-another-site", help="Also restore a backup of another site, or of more features.")
    ] = False,
    is_rehearsal: Annotated[
        bool,
        typer.Option("--rehearse", help="Restore it into a database that is thrown away, to see whether it can be."),
    ] = False,
    identity: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="File with the private key of BACKUP_RECIPIENT, as age-keygen writes it."),
    ] = None,
) -> None:
    if bool(name) == latest and not (is_rehearsal and not name):
        raise typer.BadParameter("say which: a file, a name that `backup --list` shows, or --latest.")
    settings = get_settings()
    if identity:
        settings = settings.model_copy(update={"backup_identity": read_identity(identity)})
    if is_rehearsal:
        rehearse(settings, name)
        return
    with found(settings, name) as file:
        restore(file, name, no_input=no_input, from_another_site=from_another_site)


def read_identity(path: Path) -> SecretStr:
    try:
        return SecretStr(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(f"{path} cannot be read: {getattr(error, 'strerror', '') or 'it is not text'}.") from None


def rehearse(settings: Settings, name: str) -> None:
    graph, tables = MigrationGraph(installed_names()), Model.metadata.tables.keys()
    if is_file(settings, name):
        with show_work_progress(), found(settings, name) as file:
            said = str(rehearsal.rehearse_file(file, name, Target(settings, graph, tables)))
        say(f"Restored as a rehearsal. {said}.")
        return
    with show_work_progress():
        said = str(rehearsal.rehearse(settings, graph, tables, name))
    say(f"Restored as a rehearsal. {said}.")
    if not graph.pending(recorded_revisions_of(settings)):
        in_transaction(lambda session: record_run(session, jobs.REHEARSAL, said))


@contextmanager
def found(settings: Settings, name: str) -> Iterator[Path]:
    """The archive: a file of this machine, or one from BACKUP_URL that is here while the block runs."""
    path, is_here = Path(name), is_file(settings, name)
    if is_here and backup_location(settings) is not None and not path.exists():
        raise OperatorError(f"There is no file {name}. Names at BACKUP_URL are shown by `backup --list`.")
    if is_here and path.suffix != SUFFIX:
        yield path
        return
    with scratch_folder() as folder, (folder / "backup.zip").open("xb") as file:
        if is_here:
            decrypt_file(path, file, settings)
        else:
            store = BackupStore(settings)
            backup = store.find(name)
            say(f"Fetching {backup.name} from {store.label}.")
            store.fetch(backup, file)
        yield Path(file.name)


def is_file(settings: Settings, name: str) -> bool:
    """Tell if this is a file of this machine, and no name at BACKUP_URL."""
    return bool(name) and (Path(name).exists() or not NAME.fullmatch(name) or backup_location(settings) is None)


def decrypt_file(path: Path, file: BinaryIO, settings: Settings) -> None:
    try:
        with path.open("rb") as source:
            decrypt(str(path), source, file, settings)
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}.") from error
    file.flush()


def restore(file: Path, name: str, *, no_input: bool, from_another_site: bool) -> None:
    if not (no_input or sys.stdin.isatty()):
        with open_archive(file):  # what is no backup is the first thing to know
            raise typer.BadParameter("Nobody can be asked whether all data may be replaced: say so by --no-input.")
    target = Target(get_settings(), MigrationGraph(installed_names()), Model.metadata.tables.keys())
    with show_work_progress():
        restored = restore_backup(
            file,
            target,
            lambda manifest: None if no_input else ask(manifest, target),
            argument=name or "--latest",
            from_another_site=from_another_site,
        )
    say(f"Restored {name or 'the newest backup'}.")
    if restored.previous_database:
        say(f"The database before is kept as {restored.previous_database}.")
    if restored.previous_uploads:
        say(f"The uploads before are kept as {restored.previous_uploads}.")
    if notice := uploads_left(restored.manifest, target):
        print(notice)
    if pending := target.graph.pending(restored.manifest.revisions):
        print(f"It lacks {', '.join(map(str, pending))}. Run: python3 oppman.py migrate")


def uploads_left(manifest: Manifest, target: Target) -> str:
    """Return the notice about uploads that differ from the backup's."""
    place = target.place
    if manifest.elsewhere:
        if isinstance(place, DatabaseFiles) and manifest.elsewhere == place.label:
            return ""
        return f"Its uploads are in {manifest.elsewhere}: set STORAGE_URL to that place."
    if isinstance(place, Path) or not any(name.startswith(UPLOADS) for name in manifest.members):
        return ""
    was_put = manifest.bucket if isinstance(place, Bucket) else not target.graph.pending(manifest.revisions)
    if was_put:
        return ""
    if not isinstance(place, DatabaseFiles):
        return f"Its uploads are not restored into {place.label}: unpack {UPLOADS} of the archive there."
    return (
        f"Its uploads are not restored into its database, which has no tables for them yet: unpack {UPLOADS} of the "
        "archive, and set STORAGE_URL to that folder."
    )


def ask(manifest: Manifest, target: Target) -> None:
    site = f"{manifest.site}, {manifest.source}," if manifest.site else manifest.source
    print(f"This backup of {site} was made at {manifest.created:%Y-%m-%d %H:%M} UTC.")
    print(f"All data in {target.url.redacted} will be replaced by it.")
    if typer.prompt("Type yes to go on") != "yes":
        raise typer.Abort
