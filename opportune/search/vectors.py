"""Tables with the vectors of texts.

A job computes the vectors of rows, and triggers delete them when their row changes.

PostgreSQL uses pgvector. SQLite uses two Python functions, because many builds of Python cannot load extensions. It
also stores the signs of each vector's numbers. Only the numbers of vectors with many equal signs are compared.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import Boolean, Connection, FromClause, Row, Select, TableClause, bindparam, column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.db.migrations.portable_sql import quote_name
from opportune.db.migrations.post_migrate import VECTORS_PREFIX
from opportune.search.embeddings import Vector
from opportune.search.indexes import Fields

MAX_NEAREST = 100
"""Maximum number of hits by meaning."""
MAX_SCANNED = 100_000
"""Maximum number of vectors per query, the newest first."""
EDITIONS = f"{VECTORS_PREFIX}all"
CREATE_EDITIONS = (
    f"CREATE TABLE IF NOT EXISTS {EDITIONS} (name varchar NOT NULL, edition integer NOT NULL, made_of varchar NOT NULL,"
    " fields varchar NOT NULL, is_whole boolean NOT NULL, PRIMARY KEY (name, edition))"
)
editions = table(EDITIONS, *map(column, ("name", "edition", "made_of", "fields")), column("is_whole", Boolean))


class Edition(NamedTuple):
    """Vectors of one model and one set of fields."""

    number: int
    made_of: str
    """Value of `EmbeddingModel.made_of`."""
    fields: str
    """Names of the fields, separated by commas."""
    is_whole: bool
    """Whether the job has embedded all rows."""


class Vectors(ABC):
    """Vector statements of a database engine."""

    trigger_names: ClassVar[str]
    """Statement that returns the names of all triggers."""
    trigger_drop: ClassVar[str]
    """Statement that drops the trigger `name` of a `table` if it exists."""

    def name(self, table_name: str) -> str:
        return f"{VECTORS_PREFIX}{table_name.lower()}"  # needs no quotes

    def rows(self, fields: Fields) -> TableClause:
        return table(self.name(fields.table), *map(column, ("id", "edition", "slug", "signs", "embedding")))

    @abstractmethod
    def create(self, fields: Fields) -> list[str]:
        """Return the statements that create missing tables and indexes."""

    @abstractmethod
    def events(self, fields: Fields) -> Mapping[str, str]:
        """Return the last part of a statement for each trigger, by the end of its name."""

    def triggers(self, fields: Fields) -> Mapping[str, str]:
        """Return the triggers that delete the vector of a deleted or changed row: statements by name."""
        events = {} if fields.has_documents else self.events(fields)
        named = {self.name(f"{fields.table}_{event}"): definition for event, definition in events.items()}
        return {name: f"CREATE TRIGGER {name} AFTER {definition}" for name, definition in named.items()}

    @abstractmethod
    def column_values(self, vector: Vector | None) -> Mapping[str, Any]:
        """Return the column values to store for a vector. None is the vector of a row without text."""

    @abstractmethod
    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, max_distance: float
    ) -> Select[int, float]:
        """Return ids and distances of similar rows, the nearest first, among `within` or all rows."""

    @staticmethod
    def select_newest(vectors: Select[Any], rows: TableClause, stored: Any, value: Any) -> FromClause:
        """Select id and a value of the newest vectors, without rows whose column `stored` is NULL."""
        values = vectors.where(stored.is_not(None)).with_only_columns(rows.c.id, value, maintain_column_froms=True)
        return values.order_by(None).order_by(rows.c.id.desc()).limit(MAX_SCANNED).subquery()

    @staticmethod
    def select_closest(compared: FromClause, max_distance: float) -> Select[int, float]:
        """Select ids and distances of the most similar rows from those with a column `distance`."""
        hits = select(compared.c.id, compared.c.distance).where(compared.c.distance <= max_distance)
        return hits.order_by(compared.c.distance, compared.c.id).limit(MAX_NEAREST)

    async def prepare(self, session: AsyncSession) -> None:
        """Register what the session's connection needs to compare vectors."""

    async def is_possible(self, database: Database) -> bool:
        """Create the extension for vectors if the database needs one, and return whether it can store vectors."""
        del database
        return True

    @abstractmethod
    async def has_vector_tables(self, session: AsyncSession) -> bool:
        """Return whether tables for vectors exist."""

    async def find_edition(self, session: AsyncSession, fields: Fields) -> Edition | None:
        """Return the edition to search: the complete one, or the first incomplete one."""
        if not await self.has_vector_tables(session):
            return None
        existing = await self._editions(session, fields)
        return next((edition for edition in existing if edition.is_whole), next(iter(existing), None))

    async def begin_edition(self, session: AsyncSession, fields: Fields, made_of: str) -> Edition:
        """Return the edition of a model, created if necessary."""
        if not await self.has_vector_tables(session):
            await session.execute(text(CREATE_EDITIONS))
        names = ",".join(fields.weights)
        existing = await self._editions(session, fields)
        for edition in existing:
            if (edition.made_of, edition.fields) == (made_of, names):
                return edition
        await self._create_tables(session, fields)
        number = max((edition.number for edition in existing), default=0) + 1
        new = Edition(number, made_of, names, is_whole=False)
        values = {"edition": new.number, "made_of": made_of, "fields": names, "is_whole": False}
        await session.execute(editions.insert().values(name=self.name(fields.table), **values))
        return new

    async def _create_tables(self, session: AsyncSession, fields: Fields) -> None:
        triggers = self.triggers(fields)
        drops = [self.trigger_drop.format(name=name, table=fields.quoted_table) for name in triggers]
        for statement in (*self.create(fields), *drops, *triggers.values()):
            await session.execute(text(statement))

    async def finish_edition(self, session: AsyncSession, fields: Fields, edition: Edition) -> None:
        """Mark an edition as complete and delete all others."""
        if edition.is_whole:
            return
        is_of_table = editions.c.name == self.name(fields.table)
        is_edition = editions.c.edition == edition.number
        await session.execute(editions.update().where(is_of_table, is_edition).values(is_whole=True))
        await session.execute(editions.delete().where(is_of_table, ~is_edition))
        rows = self.rows(fields)
        await session.execute(rows.delete().where(rows.c.edition != edition.number))

    async def find_rows_without_vector(
        self, session: AsyncSession, fields: Fields, edition: Edition, after: int, limit: int
    ) -> Sequence[Row[Any]]:
        """Return ids and texts of rows without a vector, whose ids are greater than `after`."""
        rows = self.rows(fields)
        source = _source_table(fields)
        stored = rows.alias("stored")
        joined = source.outerjoin(stored, (stored.c.id == source.c.id) & (stored.c.edition == edition.number))
        statement = select(source).select_from(joined).where(stored.c.id.is_(None), source.c.id > after)
        return (await session.execute(statement.order_by(source.c.id).limit(limit))).all()

    async def add(
        self, session: AsyncSession, fields: Fields, edition: Edition, vectors: Mapping[Row[Any], Vector | None]
    ) -> None:
        """Store the vectors of rows that have not changed and have none."""
        source = _source_table(fields)
        rows = self.rows(fields)
        ids = [row.id for row in vectors]
        current = select(source).where(source.c.id.in_(ids)).with_for_update(read=True)
        unchanged = {tuple(row) for row in await session.execute(current)}
        existing = select(rows.c.id).where(rows.c.id.in_(ids), rows.c.edition == edition.number)
        existing_ids = {*await session.scalars(existing)}
        new = [
            {"id": row.id, "edition": edition.number, **self.column_values(vector)}
            for row, vector in vectors.items()
            if tuple(row) in unchanged and row.id not in existing_ids
        ]
        if new:
            await session.execute(self.insertion(rows, new[0]), new)

    def insertion(self, rows: TableClause, example: Mapping[str, Any]) -> Any:
        """Return the statement that inserts `column_values` with their id and edition."""
        return rows.insert().values({name: bindparam(name) for name in example})

    async def _editions(self, session: AsyncSession, fields: Fields) -> list[Edition]:
        columns = (editions.c.edition, editions.c.made_of, editions.c.fields, editions.c.is_whole)
        statement = select(*columns).where(editions.c.name == self.name(fields.table)).order_by(editions.c.edition)
        return [Edition(*row) for row in await session.execute(statement)]

    def due_statements(self, connection: Connection, required: Sequence[Fields], tables: Sequence[str]) -> list[str]:
        """Return the statements that drop obsolete vectors and recreate missing triggers, given all table names."""
        recorded = {*connection.scalars(select(editions.c.name).distinct())}
        existing = recorded.intersection(tables)  # others belong to other programs
        used = [fields for fields in required if fields.by_meaning and self.name(fields.table) in existing]
        triggers = {*connection.scalars(text(self.trigger_names))}
        statements = [sql for fields in used for name, sql in self.triggers(fields).items() if name not in triggers]
        for name in sorted(existing.difference(self.name(fields.table) for fields in used)):
            statements += self._drop(name, tables)
        return statements

    def _drop(self, name: str, tables: Sequence[str]) -> Iterator[str]:
        for table_name in tables:
            if name == self.name(table_name):
                for event in ("update", "delete", "truncate"):
                    # PostgreSQL has cut the full name of triggers that 0.2 created.
                    for trigger in {self.name(f"{table_name}_{event}"), f"{name}_{event}"}:
                        yield self.trigger_drop.format(name=trigger, table=quote_name(table_name))
        yield f"DROP TABLE {name}"
        yield f"DELETE FROM {EDITIONS} WHERE name = '{name}'"


def _source_table(fields: Fields) -> TableClause:
    return table(fields.table, *map(column, ("id", *fields.weights)))


def select_vectors(rows: TableClause, within: Select[Any] | None, fields: Fields, edition: int) -> Select[Any]:
    """Select the vectors of an edition, for the rows of `within` or all."""
    is_edition = rows.c.edition == edition
    if within is None:
        return select(rows).where(is_edition)
    return within.join(rows, (rows.c.id == fields.key) & is_edition)


def slug_column(fields: Fields) -> str:
    """Return the definition of the additional column of document indexes."""
    return " slug varchar NOT NULL," if fields.has_documents else ""


def changed_sql(fields: Fields, differs: str) -> str:
    """Return the SQL condition of a trigger: a field has changed. `differs` is the operator "is different"."""
    return " OR ".join(f'OLD."{name}" {differs} NEW."{name}"' for name in fields.weights)
