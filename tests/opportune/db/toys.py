"""Features that exist only in a test: their tables, the folder of their migrations, and a database for them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, MetaData, Table, inspect
from sqlalchemy.sql.schema import SchemaItem

from opportune.db.migrations.autogenerate import Draft, draft, empty, up_to_date, write
from opportune.db.migrations.connection import connect
from opportune.db.migrations.graph import Tree
from opportune.db.migrations.history import recorded
from opportune.db.migrations.questions import Answers
from opportune.db.migrations.runner import Announce, Step, plan_for, run
from opportune.db.model import NAMES
from opportune.settings import Settings

ID = BigInteger().with_variant(Integer, "sqlite")


@dataclass
class Toys:
    settings: Settings
    versions: Path
    features: Sequence[str] = ("library", "shop")
    metadata: MetaData = field(default_factory=lambda: MetaData(naming_convention=NAMES))
    answers: Answers = field(default_factory=Answers)

    @property
    def tree(self) -> Tree:
        return Tree(self.features, self.versions)

    def table(self, name: str, *items: SchemaItem) -> Table:
        """Declare a table, in place of the one of that name if there is one."""
        if name in self.metadata:
            self.metadata.remove(self.metadata.tables[name])
        return Table(name, self.metadata, Column("id", ID, primary_key=True), *items)

    def pointing_at(self, table: str, column: str) -> Column[int]:
        return Column(column, ID, ForeignKey(f"{table}.id"), nullable=False)

    def drafts(self) -> list[Draft]:
        with up_to_date(self.settings, self.tree) as connection:
            drafts = [draft(connection, self.tree, name, self.metadata, None, self.answers) for name in self.features]
        return [found for found in drafts if found.changes]

    def make(self) -> list[str]:
        """Write what is missing and give the names of the files."""
        return [f"{found.feature}/{write(self.tree, found).name}" for found in self.drafts()]

    def make_by_hand(self, feature: str, upgrade: str, downgrade: str = "pass") -> Path:
        """Write a migration with these lines."""
        path = write(self.tree, empty(self.tree, feature, "by hand"))
        head, _, _ = path.read_text(encoding="utf-8").partition("def upgrade()")
        path.write_text(
            f"{head}def upgrade() -> None:\n    {upgrade}\n\n\ndef downgrade() -> None:\n    {downgrade}\n",
            encoding="utf-8",
        )
        return path

    def migrate(self, feature: str | None = None, target: str | None = None) -> list[str]:
        """Run `migrate` and give the steps that it took."""
        taken: list[str] = []
        with connect(self.settings) as connection:
            run(connection, self.tree, plan_for(self.tree, feature, target), note_in(taken))
        return taken

    def recorded(self) -> list[str]:
        with connect(self.settings) as connection:
            return recorded(connection)

    def pending(self) -> list[str]:
        return [str(migration) for migration in self.tree.pending(self.recorded())]

    def tables(self) -> set[str]:
        with connect(self.settings) as connection:
            return set(inspect(connection).get_table_names()) - {"alembic_version"}

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        with connect(self.settings) as connection, connection.begin():
            result = connection.exec_driver_sql(statement)
            return [tuple(row) for row in result] if result.returns_rows else []


def note_in(taken: list[str]) -> Announce:
    @contextmanager
    def note(step: Step) -> Iterator[None]:
        yield
        taken.append(f"{step.direction} {step.migration}")

    return note
