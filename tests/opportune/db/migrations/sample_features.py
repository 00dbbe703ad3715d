"""Sample features with tables, migrations and a database."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, String, Table, inspect
from sqlalchemy.sql.schema import SchemaItem

from opportune.config.settings import Settings
from opportune.db.migrations import rendering
from opportune.db.migrations.autogenerate import ModelComparison, comparison_database
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import read_revisions
from opportune.db.migrations.new_migration import NewMigration, create_empty_migration, split_indexes, write_migration
from opportune.db.migrations.plans import Step, plan_migrations
from opportune.db.migrations.questions import Choices
from opportune.db.migrations.runner import Announce, run_migrations
from opportune.db.models.model import NAMING_CONVENTION
from opportune.project.installed import feature_of_table

ID = BigInteger().with_variant(Integer, "sqlite")


@dataclass
class SampleFeatures:
    settings: Settings
    versions: Path
    features: Sequence[str] = ("library", "shop")
    metadata: MetaData = field(default_factory=lambda: MetaData(naming_convention=NAMING_CONVENTION))
    choices: Choices = field(default_factory=Choices)
    formats: bool = False
    """Format written files with ruff, which is slow."""

    @property
    def graph(self) -> MigrationGraph:
        return MigrationGraph(self.features, self.versions)

    def table(self, name: str, *items: SchemaItem) -> Table:
        """Declare or replace a table."""
        if name in self.metadata:
            self.metadata.remove(self.metadata.tables[name])
        return Table(name, self.metadata, Column("id", ID, primary_key=True), *items)

    def declare_books(self, *columns: SchemaItem) -> Table:
        return self.table("library_book", Column("title", String(50), nullable=False), *columns)

    def foreign_key(self, table: str, column: str) -> Column[int]:
        return Column(column, ID, ForeignKey(f"{table}.id"), nullable=False)

    def draft_migrations(self) -> list[NewMigration]:
        with comparison_database(self.settings, self.graph) as connection:
            owners = {feature_of_table(table, self.features) for table in self.metadata.tables}
            features = [name for name in self.features if self.graph.migrations_of(name) or name in owners]
            comparison = ModelComparison(connection, self.graph, self.metadata)
            changed = comparison.find_changed_features(features)
            drafts = [comparison.draft(name, choices=self.choices) for name in changed]
        return [draft for draft in drafts if draft.changes]

    def make_migrations(self, *, concurrently: bool = False) -> list[str]:
        """Write the missing migrations and return their names."""
        drafts = self.draft_migrations()
        if concurrently:
            drafts = [part for draft in drafts for part in split_indexes(draft)]
        return [f"{draft.feature}/{self._write(draft).name}" for draft in drafts]

    def migrate_models(self) -> None:
        """Write the missing migrations and run them."""
        self.make_migrations()
        self.migrate()

    def write_migration(self, feature: str, upgrade: str, downgrade: str = "pass") -> Path:
        """Write a migration with this code."""
        path = self._write(create_empty_migration(self.graph, feature, "by hand"))
        head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade()")
        functions = f"def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n"
        path.write_text(head + functions, encoding="utf-8")
        return path

    def _write(self, migration: NewMigration) -> Path:
        with pytest.MonkeyPatch.context() as patch:
            if not self.formats:
                patch.setattr(rendering, "format_files", lambda *_arguments, **_options: None)
            return write_migration(self.graph, migration)

    def migrate(self, feature: str | None = None, target: str | None = None) -> list[str]:
        """Run `migrate` and return the steps."""
        steps: list[str] = []
        with connect(self.settings) as connection:
            run_migrations(connection, self.graph, plan_migrations(self.graph, feature, target), record_steps(steps))
        return steps

    def read_revisions(self) -> list[str]:
        with connect(self.settings) as connection:
            return read_revisions(connection)

    def find_pending(self) -> list[str]:
        return [str(migration) for migration in self.graph.pending(self.read_revisions())]

    def read_tables(self) -> set[str]:
        with connect(self.settings) as connection:
            return set(inspect(connection).get_table_names()) - {"alembic_version"}

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with connect(self.settings) as connection, connection.begin():
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []


def record_steps(steps: list[str]) -> Announce:
    @contextmanager
    def announce(step: Step) -> Iterator[None]:
        yield
        steps.append(f"{step.direction} {step.migration}")

    return announce
