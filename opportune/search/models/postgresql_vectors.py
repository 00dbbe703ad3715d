"""Vectors in PostgreSQL: the extension pgvector, if it is available and the user may create it.

All rows are compared, which takes 50 ms for 100,000. An HNSW index would select the nearest rows before filtering those
that the user may see.
"""

import logging
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Select, cast, literal, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.search.embeddings import Vector
from opportune.search.models.indexes import Fields
from opportune.search.models.vectors import EDITIONS, Vectors, changed_sql, quoted_columns, select_vectors, slug_column
from opportune.search.vectors import MAX_NEAREST, MAX_SCANNED, PgVector, as_text

logger = logging.getLogger(__name__)

DELETE_FUNCTION = f"{EDITIONS}_forget"
CREATE_DELETE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {DELETE_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF TG_OP = 'TRUNCATE' THEN EXECUTE format('DELETE FROM %I.%I', TG_TABLE_SCHEMA, TG_ARGV[0]);
ELSE EXECUTE format('DELETE FROM %I.%I WHERE id = $1', TG_TABLE_SCHEMA, TG_ARGV[0]) USING OLD.id; END IF;
RETURN NULL; END $$
"""
CREATE_EXTENSION = text("CREATE EXTENSION IF NOT EXISTS vector")
HAS_EXTENSION = text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")


class PostgreSQLVectors(Vectors):
    trigger_names = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"

    def create(self, fields: Fields) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.name(fields)} (id bigint NOT NULL, edition integer NOT NULL,"
            f"{slug_column(fields)} embedding vector, PRIMARY KEY (id, edition))",
            CREATE_DELETE_FUNCTION,
        ]

    def triggers(self, fields: Fields) -> Mapping[str, str]:
        name = self.name(fields)
        action = f"EXECUTE FUNCTION {DELETE_FUNCTION}('{name}')"
        return {
            f"{name}_update": f"CREATE TRIGGER {name}_update AFTER UPDATE OF {quoted_columns(fields)} ON {fields.table}"
            f" FOR EACH ROW WHEN ({changed_sql(fields, 'IS DISTINCT FROM')}) {action}",
            f"{name}_delete": f"CREATE TRIGGER {name}_delete AFTER DELETE ON {fields.table} FOR EACH ROW {action}",
            f"{name}_truncate": f"CREATE TRIGGER {name}_truncate AFTER TRUNCATE ON {fields.table} {action}",
        }

    def drop_trigger(self, name: str, table_name: str) -> str:
        return f"DROP TRIGGER IF EXISTS {name} ON {table_name}"

    def column_values(self, vector: Vector | None) -> Mapping[str, Any]:
        return {"embedding": None if vector is None else as_text(vector)}

    def insertion(self, rows: Any, example: Mapping[str, Any]) -> Any:
        casts = {"embedding": "CAST(CAST(:embedding AS text) AS vector)"}
        values = ", ".join(casts.get(name, f":{name}") for name in example)
        return text(f"INSERT INTO {rows.name} ({', '.join(example)}) VALUES ({values})")

    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, max_distance: float
    ) -> Select[tuple[int, float]]:
        rows = self.rows(fields)
        distance = rows.c.embedding.op("<=>")(cast(literal(as_text(vector)), PgVector())).label("distance")
        compared = (
            select_vectors(rows, within, fields, edition)
            .where(rows.c.embedding.is_not(None))
            .with_only_columns(rows.c.id, distance, maintain_column_froms=True)
            .order_by(None)
            .order_by(rows.c.id.desc())
            .limit(MAX_SCANNED)
            .subquery()
        )
        hits = select(compared.c.id, compared.c.distance).where(compared.c.distance <= max_distance)
        return hits.order_by(compared.c.distance, compared.c.id).limit(MAX_NEAREST)

    async def is_possible(self, database: Database) -> bool:
        async with database.reader(fresh=True) as session:
            if await session.scalar(HAS_EXTENSION):
                return True
        try:
            async with database.writer() as session:
                await session.execute(CREATE_EXTENSION)
        except DBAPIError as error:
            logger.warning(
                "Search by meaning is not available: this PostgreSQL server has no pgvector, or the user may not "
                "create it (%s). Let the database owner run CREATE EXTENSION vector.",
                type(error.orig).__name__,
            )
            return False
        return True

    async def has_vector_tables(self, session: AsyncSession) -> bool:
        return await session.scalar(text(f"SELECT to_regclass('{EDITIONS}')")) is not None
