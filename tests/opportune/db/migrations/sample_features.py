"""Features that exist only in a test: their tables, the folder of their migrations, and a database for them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Table, inspect
from sqlalchemy.sql.schema import SchemaItem

from opportune.config.project import feature_of_table
from opportune.config.settings import Settings
from opportune.db.migrations import rendering
from opportune.db.migrations.autogenerate import (
    NewMigration,
    changed_features,
    comparison_database,
    draft_migration,
    empty_migration,
    write_migration,
)
from opportune.db.migrations.concurrent_indexes import split_indexes
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import recorded_revisions
from opportune.db.migrations.questions import Choices
from opportune.db.migrations.runner import Announce, Step, plan_for, run_migrations
from opportune.db.models.model import NAMING_CONVENTION
from opportune.testing.plugin import settings_for
from opportune.testing.services.postgres import Postgres

ID = BigInteger().with_variant(Integer, "sqlite")


@dataclass
class SampleFeatures:
    settings: Settings
    versions: Path
    features: Sequence[str] = ("library", "shop")
    metadata: MetaData = field(default_factory=lambda: MetaData(naming_convention=NAMING_CONVENTION))
    choices: Choices = field(default_factory=Choices)
    formats: bool = False
    """Whether what is written is formatted, by a process for each file."""

    @property
    def graph(self) -> MigrationGraph:
        return MigrationGraph(self.features, self.versions)

    def table(self, name: str, *items: SchemaItem) -> Table:
        """Declare a table, in place of the one of that name if there is one."""
        if name in self.metadata:
            self.metadata.remove(self.metadata.tables[name])
        return Table(name, self.metadata, Column("id", ID, primary_key=True), *items)

    def pointing_at(self, table: str, column: str) -> Column[int]:
        return Column(column, ID, ForeignKey(f"{table}.id"), nullable=False)

    def drafts(self) -> list[NewMigration]:
        with comparison_database(self.settings, self.graph) as connection:
            features = [
                name
                for name in self.features
                if self.graph.of(name)
                or any(feature_of_table(table, self.features) == name for table in self.metadata.tables)
            ]
            drafts = [
                draft_migration(connection, self.graph, name, self.metadata, None, self.choices)
                for name in changed_features(connection, self.graph, features, self.metadata)
            ]
        return [found for found in drafts if found.changes]

    def make(self, *, concurrently: bool = False) -> list[str]:
        """Write what is missing and give the names of the files."""
        drafts = self.drafts()
        if concurrently:
            drafts = [part for draft in drafts for part in split_indexes(draft)]
        return [f"{found.feature}/{self._write(found).name}" for found in drafts]

    def make_by_hand(self, feature: str, upgrade: str, downgrade: str = "pass") -> Path:
        """Write a migration with these lines."""
        path = self._write(empty_migration(self.graph, feature, "by hand"))
        head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade()")
        path.write_text(
            f"{head}def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n",
            encoding="utf-8",
        )
        return path

    def _write(self, migration: NewMigration) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            if not self.formats:
                patch.setattr(rendering, "_format", lambda _path: None)
            return write_migration(self.graph, migration)

    def migrate(self, feature: str | None = None, target: str | None = None) -> list[str]:
        """Run `migrate` and give the steps that it took."""
        taken: list[str] = []
        with connect(self.settings) as connection:
            run_migrations(connection, self.graph, plan_for(self.graph, feature, target), record_steps(taken))
        return taken

    def recorded(self) -> list[str]:
        with connect(self.settings) as connection:
            return recorded_revisions(connection)

    def pending(self) -> list[str]:
        return [str(migration) for migration in self.graph.pending(self.recorded())]

    def tables(self) -> set[str]:
        with connect(self.settings) as connection:
            return set(inspect(connection).get_table_names()) - {"alembic_version"}

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with connect(self.settings) as connection, connection.begin():
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []


def record_steps(taken: list[str]) -> Announce:
    @contextmanager
    def note(step: Step) -> Iterator[None]:
        yield
        taken.append(f"{step.direction} {step.migration}")

    return note


class Beginnings:
    """What the tests of a module begin with, made once for each kind of database. Each test has a copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._made: dict[object, tuple[Path, str]] = {}

    def copy(
        self,
        declare: Callable[[SampleFeatures], object],
        statements: Sequence[str],
        folder: Path,
        server: Postgres | None = None,
    ) -> SampleFeatures:
        """Features whose first migrations are there and applied, with the rows of these statements."""
        key = (declare, *statements, server is None)
        if key not in self._made:
            self._made[key] = self._make(declare, statements, server)
        versions, database = self._made[key]
        shutil.copytree(versions, folder / "versions")
        if server is None:
            shutil.copyfile(database, folder / "begun.db")
            url = f"sqlite:///{folder / 'begun.db'}"
        else:
            url = server.create_database(f"test_{uuid4().hex}", database)
        sample = SampleFeatures(settings_for(url), folder / "versions")
        declare(sample)
        return sample

    def _make(
        self, declare: Callable[[SampleFeatures], object], statements: Sequence[str], server: Postgres | None
    ) -> tuple[Path, str]:
        name = f"begun_{uuid4().hex}"
        versions, file = self.folder / name, str(self.folder / f"{name}.db")
        url = server.create_database(name) if server else f"sqlite:///{file}"
        sample = SampleFeatures(settings_for(url), versions)
        declare(sample)
        sample.make()
        sample.migrate()
        for statement in statements:
            sample.execute(statement)
        return versions, name if server else file
