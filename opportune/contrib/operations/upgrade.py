"""Applies pending migrations from the Operations page."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

from starlette.datastructures import FormData
from starlette.requests import Request

from opportune.config.settings import Settings
from opportune.db.database import Database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.plans import Step
from opportune.errors import OperatorError
from opportune.i18n import gettext as _
from opportune.i18n import gettext_lazy as _l

NOTHING = _l("The database already has all migrations.")


class ListedMigration(NamedTuple):
    migration: Migration
    is_applied: bool


class FeatureMigrations(NamedTuple):
    feature: str
    migrations: Sequence[ListedMigration]


class MigrationState(NamedTuple):
    """State of the migrations in a database."""

    features: Sequence[FeatureMigrations]
    newer: Sequence[str]
    """Applied migrations of a newer version of the code."""
    removed: Sequence[str]
    """Applied migrations of features that are no longer installed."""
    fault: str = ""
    """Error of a file that is not a migration. All other values are then empty."""

    @property
    def pending(self) -> list[Migration]:
        listed = chain.from_iterable(feature.migrations for feature in self.features)
        return [migration for migration, is_applied in listed if not is_applied]


async def migration_state(database: Database, features: Sequence[str]) -> MigrationState:
    try:
        graph = await asyncio.to_thread(MigrationGraph, features)
    except OperatorError as error:
        return MigrationState((), (), (), str(error))
    async with database.reader(fresh=True) as session:
        rows = await (await session.connection()).run_sync(read_revisions)
    applied = set(graph.applied(rows))
    by_feature = [
        FeatureMigrations(name, [ListedMigration(migration, migration in applied) for migration in migrations])
        for name in graph.features
        if (migrations := graph.migrations_of(name))
    ]
    return MigrationState(by_feature, graph.newer_revisions(rows), graph.removed_revisions(rows))


async def apply_migrations(request: Request, _form_data: FormData) -> str:
    """Apply the pending migrations in a thread, which continues if the client disconnects."""
    features = [feature.name for feature in request.app.state.features]
    applied = await asyncio.to_thread(_apply, request.app.state.settings, features)
    return _("Applied %(migrations)s.", migrations=", ".join(applied)) if applied else NOTHING


def _apply(settings: Settings, features: Sequence[str]) -> list[str]:
    from opportune.db.migrations.runner import run_migrations  # Alembic takes 8 MB, and few admins use this page

    applied = []

    @contextmanager
    def note(step: Step) -> Iterator[None]:
        yield
        applied.append(str(step.migration))

    with connect(settings) as connection:
        run_migrations(connection, MigrationGraph(features), announce=note)
    return applied
