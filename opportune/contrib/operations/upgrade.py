"""Applies pending migrations from the Operations page."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import NamedTuple

from fastapi import FastAPI

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

PAGE_TIMEOUT_SECONDS = 5
"""Time that a request waits for the upgrade. If it takes longer, the page shows the progress."""

CRASHED = _l("The upgrade crashed. See the log for the error.")
NOTHING = _l("The database already has all migrations.")


class ListedMigration(NamedTuple):
    migration: Migration
    is_applied: bool


class FeatureMigrations(NamedTuple):
    feature: str
    migrations: Sequence[ListedMigration]


class MigrationState(NamedTuple):
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


class Upgrade:
    """Applies pending migrations in a background task, which outlives the request that starts it."""

    def __init__(self, app: FastAPI) -> None:
        self._settings: Settings = app.state.settings
        self._features = [feature.name for feature in app.state.features]
        self._task: asyncio.Task[None] | None = None
        self.message = ""
        """Result of the last upgrade, as a sentence."""
        self.succeeded = True
        self.applied: list[str] = []
        self.current = ""
        """Migration that is being applied."""

    @property
    def is_running(self) -> bool:
        return self._task is not None and not self._task.done()

    async def run(self, report: Callable[[str], Awaitable[None]]) -> bool:
        """Apply the migrations and report the result. Return False if they continue in the background."""
        if self.is_running:
            raise OperatorError("An upgrade is already running. Wait until it has ended.")
        self.applied = []
        self.message = ""
        task = self._task = asyncio.create_task(self._run(report))
        await asyncio.wait([task], timeout=PAGE_TIMEOUT_SECONDS)
        if task.done():
            task.result()
        return task.done()

    async def _run(self, report: Callable[[str], Awaitable[None]]) -> None:
        try:
            self.message, self.succeeded = CRASHED, False  # in case of an error that is not expected
            await asyncio.to_thread(self._apply)
        except OperatorError as error:
            self.message = str(error)
        else:
            applied = _("Applied %(migrations)s.", migrations=", ".join(self.applied))
            self.message = applied if self.applied else NOTHING
            self.succeeded = True
        await report(self.message)

    def _apply(self) -> None:
        from opportune.db.migrations.runner import run_migrations  # Alembic takes 8 MB, and few admins use this page

        @contextmanager
        def track_progress(step: Step) -> Iterator[None]:
            self.current = str(step.migration)
            yield
            self.applied.append(self.current)

        graph = MigrationGraph(self._features)
        with connect(self._settings) as connection:
            run_migrations(connection, graph, announce=track_progress)
