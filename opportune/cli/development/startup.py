"""Checks before the server starts: URLs in the settings, database, migrations and disk."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from dotenv import dotenv_values

from opportune.cli.loop import open_event_loop
from opportune.cli.output import warn
from opportune.config.base_settings import setting_names
from opportune.config.hosts import is_ephemeral
from opportune.config.settings import Settings, read_feature_settings
from opportune.db.database import Database
from opportune.db.factory import open_database
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions, read_revisions_of_site
from opportune.db.migrations.post_migrate import due_statements
from opportune.db.migrations.search_indexes import find_missing_search_indexes
from opportune.db.models.foreign_keys import refuse_wrong_keys
from opportune.db.models.model import Model
from opportune.db.url.database_url import DatabaseUrl
from opportune.db.url.direct import direct_url
from opportune.errors import OperatorError
from opportune.features.core import all_features
from opportune.mail.addresses import sender_address
from opportune.mail.factory import transport_for
from opportune.plurals import pluralize
from opportune.project.atomic_files import remove_abandoned, remove_abandoned_in
from opportune.project.current import OPPMAN
from opportune.project.installed import installed_features, installed_names
from opportune.project.layout import PROJECT
from opportune.project.optional_features import features_of_settings, how_to_list
from opportune.storage.location import parse_storage_url
from opportune.web.cache.factory import cache_name
from opportune.web.rendering.template_errors import missing_feature_templates, template_errors
from opportune.web.rendering.templates import templates

DATA_FOLDER = PROJECT / "data"
RETRY_TIMEOUT_SECONDS = 4
"""Maximum time to wait for the database in production."""


class SchemaState(NamedTuple):
    """Differences between the database's migrations and those in the folder."""

    pending: tuple[str, ...]
    newer: tuple[str, ...]
    is_behind_code: bool = False
    """True if a search index differs from its model's declaration, or a group of a feature is missing."""
    unindexed: tuple[str, ...] = ()
    """Tables whose declared `search_index` does not exist."""

    @property
    def faults(self) -> Iterator[str]:
        """Messages about differences, with the next step."""
        if self.pending:
            yield (
                f"{pluralize(len(self.pending), 'migration')} not applied ({', '.join(self.pending)}). "
                f"Run {OPPMAN} migrate."
            )
        if self.newer:
            yield (
                f"The database has {', '.join(self.newer)}, but this code does not. "
                "Run the version with these migrations, or restore their files."
            )
        if self.is_behind_code and not (self.pending or self.newer):
            yield f"Search indexes or groups do not match the code. Run {OPPMAN} migrate."

    @property
    def warnings(self) -> Iterator[str]:
        """Messages about missing search indexes, without which the site is only slower."""
        if self.unindexed and not (self.pending or self.newer):
            yield (
                f"The search index of {', '.join(self.unindexed)} is missing. Run {OPPMAN} makemigrations and "
                "migrate. If its migration is applied, revert it and apply it again; on PostgreSQL, a superuser may "
                "first have to run CREATE EXTENSION pg_trgm."
            )


def settings_left_out() -> dict[str, str]:
    """Return messages about settings of optional features that are not installed, by the names of the settings."""
    names = {*setting_names()}
    places = dict.fromkeys(os.environ, "the environment") | dict.fromkeys(dotenv_values(PROJECT / ".env"), ".env")
    features = {name: features_of_settings().get(name.lower()) for name in places if name.upper() not in names}
    return {
        name: f"{name} in {places[name]} belongs to the feature {feature}. {how_to_list(feature)}"
        for name, feature in features.items()
        if feature
    }


def remove_abandoned_files(settings: Settings) -> None:
    """Remove temporary files of killed processes beside the database, the uploads and other data."""
    remove_abandoned_in(DATA_FOLDER, recursive=True)
    storage = parse_storage_url(settings)
    url = direct_url(settings)
    if isinstance(storage, Path) and not storage.is_relative_to(DATA_FOLDER):
        remove_abandoned(storage)
        remove_abandoned_in(storage, recursive=True)
    if url.kind == "sqlite":
        remove_abandoned(url.path)


URL_PARSERS: tuple[Callable[[Settings], object], ...] = (
    transport_for,
    parse_storage_url,
    lambda settings: cache_name(settings.cache_url.get_secret_value()),
)
"""Functions that parse a URL in the settings, except the database's, and raise OperatorError if it is invalid."""


def url_faults(settings: Settings) -> Iterator[str]:
    """Yield messages about invalid addresses, including the sender of e-mails."""
    for parse in (*URL_PARSERS, sender_address):
        try:
            parse(settings)
        except OperatorError as error:
            yield str(error)


def validate_configuration(settings: Settings) -> None:
    """Check URLs, settings of features and overridden templates, because workers would print tracebacks."""
    for parse in URL_PARSERS:
        parse(settings)
    read_feature_settings(settings, installed_features())
    features = all_features(installed_features())
    templates.add_helpers(features)
    if error := next(template_errors(only_overrides=True), None):
        raise OperatorError(f"{error} Fix or delete it, because all pages may depend on it.")
    if error := next(missing_feature_templates(features), None):
        raise OperatorError(error)


def require_file(url: DatabaseUrl) -> None:
    """Check that a SQLite file exists, because SQLite would create an empty database at a mistyped path."""
    if url.kind == "sqlite" and not url.path.exists():
        raise OperatorError(
            f"There is no database at {url.path}. If DATABASE_URL is correct, create it: {OPPMAN} migrate"
        )


def inspect_schema(settings: Settings) -> SchemaState:
    """Connect to the database and compare its migrations with those of the code."""
    refuse_wrong_keys(Model.metadata)
    with open_event_loop() as loop:
        return loop.run(_inspect_schema(settings))


async def _inspect_schema(settings: Settings) -> SchemaState:
    async with open_database(settings) as database:
        await database.setup()
        await _connect(database, retry_seconds=RETRY_TIMEOUT_SECONDS if settings.is_production else 0)
        async with database.reader(fresh=True) as session:
            connection = await session.connection()
            rows = await connection.run_sync(read_revisions)
            is_behind_code = bool(await connection.run_sync(due_statements))
            unindexed = tuple(await connection.run_sync(find_missing_search_indexes))
    graph = MigrationGraph(installed_names())
    return SchemaState(tuple(map(str, graph.pending(rows))), graph.newer_revisions(rows), is_behind_code, unindexed)


async def _connect(database: Database, retry_seconds: float) -> None:
    """Ping the database until it responds, because on some hosts it wakes up slowly, or its name resolves late."""
    deadline = time.monotonic() + retry_seconds
    while True:
        try:
            return await database.ping(reader=False)
        except OperatorError:
            if time.monotonic() >= deadline:
                raise
            await asyncio.sleep(1)


def apply_migrations(settings: Settings) -> None:
    """Apply pending migrations, in one process at a time, and print each step."""
    from opportune.cli.database.migrate import apply_plan  # Alembic, which most starts do not need
    from opportune.db.migrations.plans import plan_migrations

    graph = MigrationGraph(installed_names())
    check_compatibility(settings, graph)
    apply_plan(settings, graph, plan_migrations(graph))


def check_compatibility(settings: Settings, graph: MigrationGraph) -> None:
    """Warn about pending migrations that may break an older version. Refuse them while that version serves."""
    from opportune.db.migrations.safety import find_incompatibilities  # most starts have no pending migrations
    from opportune.server.handover import takes_over  # most starts have no pending migrations

    if not (recorded := read_revisions_of_site(settings)):
        return
    problems = find_incompatibilities(graph.pending(recorded), direct_url(settings).kind)
    for problem in problems:
        warn(f"{problem.migration}: {problem}")
    if problems and takes_over():
        raise OperatorError(
            f"{problems[0].migration} cannot be applied while the old version runs. Restart the server instead of "
            "reloading it, or set safety_assured in the migration (oppman.py docs migrations)."
        )


def data_loss_warning(settings: Settings) -> str | None:
    """Return a warning if this host will delete the SQLite file; otherwise None."""
    url = DatabaseUrl.parse(settings.database_url.get_secret_value())
    if url.kind != "sqlite" or not is_ephemeral(url.path.parent):
        return None
    return (
        f"{url.path} is on an ephemeral disk, so the next deploy or restart deletes all data. "
        "Use PostgreSQL (set DATABASE_URL) or a volume (oppman.py docs deploy)."
    )
