"""The vectors of a table's rows, beside it: made by a job, removed by the database when what they tell of changes.

`vectors_of_<table>` has them by row and edition. An edition is what one model has made of the same fields: while
another is made, the last whole one answers.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

from sqlalchemy import (
    Connection,
    Row,
    Select,
    TableClause,
    bindparam,
    column,
    delete,
    insert,
    literal_column,
    select,
    table,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.db.migrations.post_migrate import VECTORS_PREFIX
from opportune.search.embeddings import Vector
from opportune.search.models.indexes import Fields

EDITIONS = f"{VECTORS_PREFIX}all"
CREATE_EDITIONS = (
    f"CREATE TABLE IF NOT EXISTS {EDITIONS} (name varchar NOT NULL, edition integer NOT NULL, made_of varchar NOT NULL,"
    " fields varchar NOT NULL, is_whole boolean NOT NULL, PRIMARY KEY (name, edition))"
)
editions = table(EDITIONS, *map(column, ("name", "edition", "made_of", "fields", "is_whole")))


class Edition(NamedTuple):
    """The vectors of one model."""

    number: int
    made_of: str
    """What `EmbeddingModel.made_of` was."""
    fields: str
    is_whole: bool


class Vectors(ABC):
    """How one kind of database keeps vectors, and finds the nearest."""

    triggers_there: ClassVar[str]
    """A statement that tells the names of all triggers."""

    def name(self, fields: Fields) -> str:
        return f"{VECTORS_PREFIX}{fields.table}"

    def rows(self, fields: Fields) -> TableClause:
        return table(self.name(fields), *map(column, ("id", "edition", "slug", "signs", "embedding")))

    @abstractmethod
    def create(self, fields: Fields) -> list[str]:
        """The statements that make what is not there yet, but for the triggers."""

    @abstractmethod
    def triggers(self, fields: Fields) -> Mapping[str, str]:
        """The triggers that remove a vector with its row, and when its fields change: statements by their names."""

    @abstractmethod
    def drop_trigger(self, name: str, of_table: str) -> str:
        """A statement that removes a trigger, if it is there."""

    @abstractmethod
    def stored(self, vector: Vector | None) -> Mapping[str, Any]:
        """A vector as the columns of its row; None of a row without a text."""

    @abstractmethod
    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, most_distant: float
    ) -> Select[tuple[int, float]]:
        """The ids and distances of those among these rows, or all, that mean the like: the nearest first."""

    async def prepare(self, session: AsyncSession) -> None:
        """Have the session's connection know how to compare vectors."""

    async def is_possible(self, database: Database) -> bool:
        """Whether this database can keep vectors; what it takes is made."""
        del database
        return True

    @abstractmethod
    async def is_there(self, session: AsyncSession) -> bool:
        """Whether any table has vectors."""

    async def find_edition(self, session: AsyncSession, fields: Fields) -> Edition | None:
        """What answers: the last that is whole, or the first that is being made."""
        if not await self.is_there(session):
            return None
        found = await self._editions(session, fields)
        return next((each for each in found if each.is_whole), next(iter(found), None))

    async def begin_edition(self, session: AsyncSession, fields: Fields, made_of: str) -> Edition:
        """The edition of this model, which is made where there is none."""
        names = ",".join(fields.weights)
        if await self.is_there(session):
            for each in await self._editions(session, fields):
                if (each.made_of, each.fields) == (made_of, names):
                    return each
        else:
            await session.execute(text(CREATE_EDITIONS))
        triggers = {} if fields.is_of_documents else self.triggers(fields)
        drops = [self.drop_trigger(name, fields.table) for name in triggers]
        for statement in (*self.create(fields), *drops, *triggers.values()):
            await session.execute(text(statement))
        last = max((each.number for each in await self._editions(session, fields)), default=0)
        new = Edition(last + 1, made_of, names, is_whole=False)
        values = {"edition": new.number, "made_of": made_of, "fields": names, "is_whole": False}
        await session.execute(insert(editions).values(name=self.name(fields), **values))
        return new

    async def finish_edition(self, session: AsyncSession, fields: Fields, edition: Edition) -> None:
        """Have it answer from now on, and remove all others."""
        if edition.is_whole:
            return
        ours = editions.c.name == self.name(fields)
        await session.execute(update(editions).where(ours, editions.c.edition == edition.number).values(is_whole=True))
        await session.execute(delete(editions).where(ours, editions.c.edition != edition.number))
        rows = self.rows(fields)
        await session.execute(delete(rows).where(rows.c.edition != edition.number))

    async def missing(
        self, session: AsyncSession, fields: Fields, edition: Edition, after: int, limit: int
    ) -> Sequence[Row[Any]]:
        """The ids and texts of rows without a vector."""
        rows = self.rows(fields)
        source, found = _source(fields), rows.alias("found")
        joined = source.outerjoin(found, (found.c.id == source.c.id) & (found.c.edition == edition.number))
        statement = select(source).select_from(joined).where(found.c.id.is_(None), source.c.id > after)
        return (await session.execute(statement.order_by(source.c.id).limit(limit))).all()

    async def add(
        self, session: AsyncSession, fields: Fields, edition: Edition, found: Mapping[Row[Any], Vector | None]
    ) -> None:
        """Keep the vectors of rows that are still as they were, and have none."""
        source, rows = _source(fields), self.rows(fields)
        ids = [row.id for row in found]
        unchanged = select(source).where(source.c.id.in_(ids)).with_for_update(read=True)
        still = {tuple(row) for row in await session.execute(unchanged)}
        there = select(rows.c.id).where(rows.c.id.in_(ids), rows.c.edition == edition.number)
        kept = {*await session.scalars(there)}
        new = [
            {"id": row.id, "edition": edition.number, **self.stored(vector)}
            for row, vector in found.items()
            if tuple(row) in still and row.id not in kept
        ]
        if new:
            await session.execute(self.insertion(rows, new[0]), new)

    def insertion(self, rows: TableClause, example: Mapping[str, Any]) -> Any:
        """The statement that takes `stored` of rows, with their id and edition."""
        return insert(rows).values({name: bindparam(name) for name in example})

    async def _editions(self, session: AsyncSession, fields: Fields) -> list[Edition]:
        columns = (editions.c.edition, editions.c.made_of, editions.c.fields, editions.c.is_whole)
        statement = select(*columns).where(editions.c.name == self.name(fields)).order_by(editions.c.edition)
        return [
            Edition(number, made_of, names, bool(is_whole))
            for number, made_of, names, is_whole in await session.execute(statement)
        ]

    def due(self, connection: Connection, wanted: Sequence[Fields], there: Sequence[str]) -> list[str]:
        """The statements that remove the vectors of what is no longer searched by meaning, and mend lost triggers.

        `there` are the names of all tables.
        """
        with_vectors = {name for name in there if name.startswith(VECTORS_PREFIX) and name != EDITIONS}
        if not with_vectors:
            return []
        kept = {name: fields for fields in wanted if fields.by_meaning and (name := self.name(fields)) in with_vectors}
        triggers = {*connection.scalars(text(self.triggers_there))}
        lost = [
            statement
            for fields in kept.values()
            for name, statement in ({} if fields.is_of_documents else self.triggers(fields)).items()
            if name not in triggers
        ]
        return [*lost, *(each for name in sorted(with_vectors - kept.keys()) for each in self._drop(name, there))]

    def _drop(self, name: str, there: Sequence[str]) -> list[str]:
        of_table = name.removeprefix(VECTORS_PREFIX)
        triggers = [f"{name}_{act}" for act in ("update", "delete", "truncate")] if of_table in there else []
        return [
            *(self.drop_trigger(trigger, of_table) for trigger in triggers),
            f"DROP TABLE {name}",
            f"DELETE FROM {EDITIONS} WHERE name = '{name}'",
        ]


def _source(fields: Fields) -> TableClause:
    return table(fields.table, *map(column, ("id", *fields.weights)))


def rows_among(rows: TableClause, within: Select[Any] | None, fields: Fields, edition: int) -> Select[Any]:
    """The vectors of an edition, of these rows or of all."""
    of_edition = rows.c.edition == edition
    if within is None:
        return select(rows).where(of_edition)
    return within.join(rows, (rows.c.id == key_of(fields)) & of_edition)


def slug_column(fields: Fields) -> str:
    """What the table of an index of documents has besides."""
    return " slug varchar NOT NULL," if fields.is_of_documents else ""


def key_of(fields: Fields) -> Any:
    return literal_column(f"{fields.table}.id")


def changed(fields: Fields, differs: str) -> str:
    """SQL that is true where one of the fields is another."""
    return " OR ".join(f'OLD."{name}" {differs} NEW."{name}"' for name in fields.weights)


def columns_of(fields: Fields) -> str:
    return ", ".join(f'"{name}"' for name in fields.weights)
