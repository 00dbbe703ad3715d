"""Full-text index and vectors in SQLite, updated by triggers. FTS5 keeps no copy of the texts."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import CTE, Connection, Float, Select, column, func, literal_column, select, table, text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.migrations.post_migrate import FTS_PREFIX
from opportune.db.migrations.search_indexes import TRIGGERS, fill_fts5, fts5_definitions, is_own_fts5
from opportune.search.dialects import write_fts5
from opportune.search.embeddings import Vector
from opportune.search.indexes import Dialect, Fields, Matches
from opportune.search.query import Query
from opportune.search.vector_functions import MAX_COMPARED, add_functions_for, signs
from opportune.search.vectors import EDITIONS, Vectors, changed_sql, select_vectors, slug_column

# Weights of bm25, with the ratios of the letters in PostgreSQL.
FACTORS = {"A": 10.0, "B": 4.0, "C": 2.0, "D": 1.0}
OPTIONS = "tokenize='unicode61 remove_diacritics 2', prefix='3'"
EXISTING_OBJECTS = text("""
    SELECT name, sql FROM sqlite_master WHERE name LIKE :prefix ESCAPE '\\'
    AND (type = 'trigger' OR sql LIKE 'CREATE VIRTUAL TABLE % USING fts5(%')
""")


def materialize(statement: Select[Any]) -> CTE:
    """Make SQLite evaluate a statement once, instead of once per row of the outer query."""
    return statement.cte().prefix_with("MATERIALIZED")


class SQLite(Dialect):
    """Full-text search with tables of FTS5. `Dialect` says what each method returns."""

    def matching(self, statement: Select[Any], fields: Fields, query_text: str) -> Matches:
        index = table(fields.index, column("rowid"))
        key = fields.key
        factors = [literal_column(str(FACTORS[weight]), Float) for weight in fields.weights.values()]
        query = write_fts5(Query.parse(query_text, normalize=str.lower))  # FTS5 removes accents
        matching = materialize(
            select(index.c.rowid, func.bm25(literal_column(fields.index), *factors).label("place")).where(
                literal_column(fields.index).op("MATCH")(query or '""')
            )
        )
        best = self.newest(statement.join(matching, matching.c.rowid == key), key.label("id"), matching.c.place)
        return Matches(statement.join(best, best.c.id == key), (best.c.place, key))

    def definitions(self, fields: Fields) -> dict[str, str]:
        return fts5_definitions(fields.index, fields.table, [*fields.weights], OPTIONS)

    def existing_definitions(self, connection: Connection) -> dict[str, str]:
        prefix = FTS_PREFIX.replace("_", "\\_") + "%"
        return {str(name): str(sql) for name, sql in connection.execute(EXISTING_OBJECTS, {"prefix": prefix})}

    def replace(self, fields: Fields, existing: Collection[str]) -> list[str]:
        return [*self.drop(existing), *self.definitions(fields).values(), self.rebuild(fields)]

    def drop(self, names: Collection[str]) -> list[str]:
        triggers = [name for name in names if name.endswith((*TRIGGERS,))]
        tables = [name for name in names if name not in triggers]
        return [f"DROP TRIGGER {name}" for name in triggers] + [f"DROP TABLE {name}" for name in tables]

    def is_own(self, name: str, definition: str) -> bool:
        return is_own_fts5(FTS_PREFIX, name, definition)

    def rebuild(self, fields: Fields) -> str:
        return fill_fts5(fields.index)


class SQLiteVectors(Vectors):
    """Vectors as BLOBs, compared by functions of the connection. `Vectors` says what each method returns."""

    trigger_names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    trigger_drop = "DROP TRIGGER IF EXISTS {name}"

    def create(self, fields: Fields) -> list[str]:
        name = self.name(fields.table)
        return [
            f"CREATE TABLE IF NOT EXISTS {name} (id INTEGER NOT NULL, edition INTEGER NOT NULL,{slug_column(fields)}"
            " signs BLOB, embedding BLOB, PRIMARY KEY (id, edition))",
            # A covering index: most queries read only the signs, not the vectors.
            f"CREATE INDEX IF NOT EXISTS {name}_signs ON {name} (id, edition, signs)",
        ]

    def events(self, fields: Fields) -> Mapping[str, str]:
        table_name = fields.quoted_table
        changed = changed_sql(fields, "IS NOT")
        action = f"BEGIN DELETE FROM {self.name(fields.table)} WHERE id = OLD.id; END"
        return {
            "update": f"UPDATE OF {fields.quoted_columns} ON {table_name} WHEN {changed} {action}",
            "delete": f"DELETE ON {table_name} {action}",
        }

    def column_values(self, vector: Vector | None) -> Mapping[str, Any]:
        if vector is None:
            return {"signs": None, "embedding": None}
        return {"signs": signs(vector), "embedding": vector.tobytes()}

    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, max_distance: float
    ) -> Select[int, float]:
        rows = self.rows(fields)
        scanned = self.select_newest(select_vectors(rows, within, fields, edition), rows, rows.c.signs, rows.c.signs)
        differing = func.differing_signs(scanned.c.signs, signs(vector))
        alike = select(scanned.c.id).order_by(differing).limit(MAX_COMPARED).subquery()
        distance = func.cosine_distance(rows.c.embedding, vector.tobytes()).label("distance")
        joined = select(rows.c.id, distance).join(alike, alike.c.id == rows.c.id)
        compared = materialize(joined.where(rows.c.edition == edition))
        return self.select_closest(compared, max_distance)

    async def prepare(self, session: AsyncSession) -> None:
        await add_functions_for(session)

    async def has_vector_tables(self, session: AsyncSession) -> bool:
        return await session.scalar(text(f"SELECT 1 FROM sqlite_master WHERE name = '{EDITIONS}'")) is not None
