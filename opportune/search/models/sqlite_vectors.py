"""Vectors in SQLite: a table and two functions, see `opportune.search.vectors`."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.search.embeddings import Vector
from opportune.search.models.indexes import Fields
from opportune.search.models.sqlite import materialized
from opportune.search.models.vectors import EDITIONS, Vectors, changed_sql, quoted_columns, select_vectors, slug_column
from opportune.search.vectors import MAX_COMPARED, MAX_NEAREST, MAX_SCANNED, add_functions_for, signs


class SQLiteVectors(Vectors):
    trigger_names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"

    def create(self, fields: Fields) -> list[str]:
        name = self.name(fields)
        return [
            f"CREATE TABLE IF NOT EXISTS {name} (id INTEGER NOT NULL, edition INTEGER NOT NULL,{slug_column(fields)}"
            " signs BLOB, embedding BLOB, PRIMARY KEY (id, edition))",
            # A covering index: most queries read only the signs, not the vectors.
            f"CREATE INDEX IF NOT EXISTS {name}_signs ON {name} (id, edition, signs)",
        ]

    def triggers(self, fields: Fields) -> Mapping[str, str]:
        name = self.name(fields)
        action = f"BEGIN DELETE FROM {name} WHERE id = OLD.id; END"
        return {
            f"{name}_update": f"CREATE TRIGGER {name}_update AFTER UPDATE OF {quoted_columns(fields)} ON {fields.table}"
            f" WHEN {changed_sql(fields, 'IS NOT')} {action}",
            f"{name}_delete": f"CREATE TRIGGER {name}_delete AFTER DELETE ON {fields.table} {action}",
        }

    def drop_trigger(self, name: str, table_name: str) -> str:
        del table_name
        return f"DROP TRIGGER IF EXISTS {name}"

    def column_values(self, vector: Vector | None) -> Mapping[str, Any]:
        if vector is None:
            return {"signs": None, "embedding": None}
        return {"signs": signs(vector), "embedding": vector.tobytes()}

    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, max_distance: float
    ) -> Select[tuple[int, float]]:
        rows = self.rows(fields)
        scanned = (
            select_vectors(rows, within, fields, edition)
            .where(rows.c.signs.is_not(None))
            .with_only_columns(rows.c.id, rows.c.signs, maintain_column_froms=True)
            .order_by(None)
            .order_by(rows.c.id.desc())
            .limit(MAX_SCANNED)
            .subquery()
        )
        differing = func.differing_signs(scanned.c.signs, signs(vector))
        alike = select(scanned.c.id).order_by(differing).limit(MAX_COMPARED).subquery()
        distance = func.cosine_distance(rows.c.embedding, vector.tobytes()).label("distance")
        compared = materialized(
            select(rows.c.id, distance).join(alike, alike.c.id == rows.c.id).where(rows.c.edition == edition)
        )
        hits = select(compared.c.id, compared.c.distance).where(compared.c.distance <= max_distance)
        return hits.order_by(compared.c.distance, compared.c.id).limit(MAX_NEAREST)

    async def prepare(self, session: AsyncSession) -> None:
        await add_functions_for(session)

    async def has_vector_tables(self, session: AsyncSession) -> bool:
        rows = await session.execute(text(f"SELECT 1 FROM sqlite_master WHERE name = '{EDITIONS}'"))
        return rows.first() is not None
