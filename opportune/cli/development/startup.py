"""Checks before the port opens: is the database usable, is it migrated, will its disk be kept?"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opportune.cli.loop import runner
from opportune.cli.output import warn
from opportune.config.hosts import is_ephemeral
from opportune.config.project import PROJECT, installed_features, installed_names
from opportune.config.settings import Settings, read_feature_settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.db.migrations.connection import migration_url
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions, recorded_revisions_of
from opportune.db.migrations.post_migrate import due_statements
from opportune.db.models.model import utc_now
from opportune.db.url.database_url import DatabaseURL
from opportune.errors import OperatorError
from opportune.features import all_features
from opportune.jobs.schedule import next_run_time
from opportune.llm import make_provider, models_of
from opportune.mail.addresses import sender_address
from opportune.mail.factory import transport_for
from opportune.ops.backup.marker import marker_path
from opportune.ops.backup.retention import parse_keep
from opportune.ops.backup.store import backup_location
from opportune.runtime.atomic_files import remove_abandoned, remove_abandoned_in
from opportune.storage.location import parse_storage_url
from opportune.web.cache.factory import open_store
from opportune.web.rendering.template_errors import missing_parts, template_errors
from opportune.web.rendering.templates import templates

DATA_FOLDER = PROJECT / "data"
RETRY_TIMEOUT_SECONDS = 4  # seconds in which a failed attempt is followed by another


@dataclass(frozen=True)
class SchemaState:
    """Differences between the database's migrations and those in the folder."""

    pending: tuple[str, ...]
    newer: tuple[str, ...]
    is_behind_code: bool = False
    """True if a search index differs from its model's declaration, or a group of a feature is missing."""

    @property
    def faults(self) -> Iterator[str]:
        """One line each, with the next step."""
        if self.pending:
            yield (
                f"{_count(self.pending, 'migration')} not applied ({', '.join(self.pending)}): "
                "run python3 oppman.py migrate."
            )
        if self.newer:
            yield (
                f"The database has {', '.join(self.newer)}, which this code lacks: "
                "run the version that made them, or put their files back."
            )
        if self.is_behind_code and not (self.pending or self.newer):
            yield "Indexes for search, or groups, are not what the code asks for: run python3 oppman.py migrate."


def remove_abandoned_files(settings: Settings) -> None:
    """Remove the temporary files that killed processes have left with the database, the uploads and other data."""
    remove_abandoned_in(DATA_FOLDER, recursive=True)
    remove_abandoned(marker_path(settings))
    place, url = parse_storage_url(settings), migration_url(settings)
    if isinstance(place, Path) and not place.is_relative_to(DATA_FOLDER):
        remove_abandoned(place)
        remove_abandoned_in(place, recursive=True)
    if url.kind == "sqlite":
        remove_abandoned(url.path)


def read_cache_address(settings: Settings) -> None:
    open_store(settings.cache_url.get_secret_value())


def read_llm_models(settings: Settings) -> None:
    if any(model.provider for model in settings.llm_models):
        for model in models_of(settings):
            make_provider(settings, model)


def read_backups(settings: Settings) -> None:
    if not settings.backup_url.get_secret_value().strip():
        return

    backup_location(settings)
    parse_keep(settings.backup_keep)
    _read_schedules(settings, "backup_schedule", "backup_rehearsal_schedule")


def read_heartbeat(settings: Settings) -> None:
    if settings.heartbeat_url.get_secret_value():
        _read_schedules(settings, "heartbeat_schedule")


def _read_schedules(settings: Settings, *names: str) -> None:

    for name in names:
        if schedule := getattr(settings, name):
            try:
                next_run_time(schedule, utc_now())
            except OperatorError as error:
                raise OperatorError(f"{name.upper()}: {error}") from None


ADDRESS_PARSERS: tuple[Callable[[Settings], object], ...] = (
    transport_for,
    parse_storage_url,
    read_backups,
    read_heartbeat,
    read_cache_address,
    read_llm_models,
)
"""Each understands the address of something that is not the database, or raises OperatorError."""


def address_faults(settings: Settings) -> Iterator[str]:
    """Faults of each address, and of the sender of e-mails."""
    for read in (*ADDRESS_PARSERS, sender_address):
        try:
            read(settings)
        except OperatorError as error:
            yield str(error)


def read_addresses(settings: Settings) -> None:
    """A fault is one line here, and a traceback in a worker.

    Raises:
        OperatorError: one of them is not understood, a feature's settings are not, or a template all pages begin with.
    """
    for read in ADDRESS_PARSERS:
        read(settings)
    read_feature_settings(settings, installed_features())
    features = all_features(installed_features())
    templates.add_helpers(features)
    if error := next(template_errors(only_overrides=True), None):
        raise OperatorError(f"{error} It stands in the place of one of the framework's: mend it, or delete it.")
    if error := next(missing_parts(features), None):
        raise OperatorError(error)


def require_file(url: DatabaseURL) -> None:
    """For commands that look: SQLite would make an empty database at an address with a mistake in it.

    Raises:
        OperatorError: the database is a file that is not there.
    """
    if url.kind == "sqlite" and not url.path.exists():
        raise OperatorError(
            f"There is no database at {url.path} yet. If DATABASE_URL is right, make it: python3 oppman.py migrate"
        )


def inspect_schema(settings: Settings) -> SchemaState:
    """Use the database once and compare its migrations with the folder's.

    Raises:
        OperatorError: the database cannot be used.
    """
    with runner() as loop:
        return loop.run(_inspect(settings))


async def _inspect(settings: Settings) -> SchemaState:
    database = open_database(settings)
    try:
        await database.setup()
        await _connect_with_retry(database, time.monotonic() + RETRY_TIMEOUT_SECONDS if settings.is_production else 0)
        async with database.reader(fresh=True) as session:
            connection = await session.connection()
            rows = await connection.run_sync(recorded_revisions)
            stale = bool(await connection.run_sync(due_statements))
    finally:
        await database.dispose()
    graph = MigrationGraph(installed_names())
    return SchemaState(tuple(map(str, graph.pending(rows))), graph.unknown(rows).newer, stale)


async def _connect_with_retry(database: Database, until: float) -> None:
    """Ask for a sign of life. On a host the database may have to wake up, or its name may not be known at once."""
    while True:
        try:
            return await database.ping(reader=False)
        except OperatorError:
            if time.monotonic() >= until:
                raise
            await asyncio.sleep(1)


def apply_migrations(settings: Settings) -> None:
    """Apply what is pending, telling of each step, in one process at a time.

    Raises:
        OperatorError: a migration failed, or the database is newer than the code.
    """
    from opportune.cli.database.migrate import carry_out  # noqa: PLC0415 - Alembic, which most starts can do without
    from opportune.db.migrations.runner import plan_for  # noqa: PLC0415 - as above

    graph = MigrationGraph(installed_names())
    tell_breaking(settings, graph)
    carry_out(settings, graph, plan_for(graph))


def tell_breaking(settings: Settings, graph: MigrationGraph) -> None:
    """Tell of migrations under which an old version that still serves may fail; refuse them where one does for sure.

    Raises:
        OperatorError: there are some, and this process is to take the place of another one.
    """
    from opportune.db.migrations.compatibility import incompatibilities  # noqa: PLC0415 - as above
    from opportune.server.handover import takes_over  # noqa: PLC0415 - as above

    if not (recorded := recorded_revisions_of(settings)):
        return
    found = incompatibilities(graph.pending(recorded), migration_url(settings).kind)
    for each in found:
        warn(f"{each.migration}: {each}")
    if found and takes_over():
        raise OperatorError(
            f"{found[0].migration} is not applied while the old version serves. Restart the server in place of "
            "reloading it, or say safety_assured in the migration (docs/migrations.md)."
        )


def data_loss_warning(settings: Settings) -> str:
    """One line if this host will throw the SQLite file away, else nothing."""
    url = DatabaseURL.parse(settings.database_url.get_secret_value())
    if url.kind != "sqlite" or not is_ephemeral(url.path.parent):
        return ""
    return (
        f"{url.path} is on a disk that this host does not keep: all data is lost at the next deploy or restart. "
        "Use PostgreSQL (set DATABASE_URL), or a volume (docs/deploy.md)."
    )


def _count(things: tuple[str, ...], name: str) -> str:
    return f"1 {name} is" if len(things) == 1 else f"{len(things)} {name}s are"
