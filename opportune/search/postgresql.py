"""Full-text index in PostgreSQL: a GIN index on an expression, without additional columns. Vectors use pgvector.

The extension is used if it is available and the user may create it. All vectors are compared. An
HNSW index would select the nearest rows before filtering those that the user may see.
"""

import logging
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnClause, Connection, Select, func, literal, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.db.database import Database
from opportune.db.migrations.post_migrate import FTS_PREFIX
from opportune.db.models.indexes import fit_name
from opportune.db.models.native_type import NativeType
from opportune.search.dialects import write_tsquery
from opportune.search.embeddings import Vector
from opportune.search.folding import fold_like_postgresql
from opportune.search.indexes import Dialect, Fields, Matches
from opportune.search.query import Query
from opportune.search.vector_functions import as_text
from opportune.search.vectors import EDITIONS, Vectors, changed_sql, select_vectors, slug_column

logger = logging.getLogger(__name__)

# Texts are cut, because PostgreSQL limits a tsvector to 1 MiB. Accents and punctuation are removed.
# With punctuation, the parser would detect host names, paths and compounds.
WORDS = (
    r"left(lower(regexp_replace(regexp_replace(normalize(left(coalesce({column}, ''), 100000), NFKD),"
    r" '[\u0300-\u036f]+', '', 'g'), '[!-/:-@[-`{{-~]+', ' ', 'g')), {length})"
)
VECTOR = "setweight(to_tsvector('simple'::regconfig, " + WORDS + "), '{weight}')"
MAX_LETTERS = 250_000
"""Letters of a row in its tsvector. Words need at most 4 bytes for each, with their positions."""
INDEX = "CREATE INDEX {index} ON {table} USING gin (({vector}))"
EXISTING_OBJECTS = text("""
    SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
    WHERE relkind = 'i' AND starts_with(relname, :prefix) AND pg_table_is_visible(oid)
""")

DELETE_FUNCTION = f"{EDITIONS}_forget"
CREATE_DELETE_FUNCTION = f"""
CREATE OR REPLACE FUNCTION {DELETE_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
IF TG_OP = 'TRUNCATE' THEN EXECUTE format('DELETE FROM %I.%I', TG_TABLE_SCHEMA, TG_ARGV[0]);
ELSE EXECUTE format('DELETE FROM %I.%I WHERE id = $1', TG_TABLE_SCHEMA, TG_ARGV[0]) USING OLD.id; END IF;
RETURN NULL; END $$
"""
CREATE_EXTENSION = text("CREATE EXTENSION IF NOT EXISTS vector")
HAS_EXTENSION = text("SELECT 1 FROM pg_extension WHERE extname = 'vector'")


class PostgreSQL(Dialect):
    """Full-text search with GIN indexes. `Dialect` says what each method returns."""

    def matching(self, statement: Select[Any], fields: Fields, query_text: str) -> Matches:
        parsed = Query.parse(query_text, normalize=fold_like_postgresql)
        query = func.to_tsquery(literal_column("'simple'::regconfig"), write_tsquery(parsed))
        words: ColumnClause[Any] = literal_column(f"({_vector(fields)})")
        key = fields.key
        rank = func.ts_rank(words, query)  # repeated words count less and less, as with bm25
        # As a subquery, whose words the planner does not know. For frequent words it would read rows without the
        # full-text index and parse each text, which it takes for cheap.
        is_match = words.op("@@", is_comparison=True)(select(query).scalar_subquery())
        best = self.newest(statement.where(is_match), key.label("id"))
        return Matches(statement.join(best, best.c.id == key), (rank.desc(), key))

    def definitions(self, fields: Fields) -> dict[str, str]:
        return {fit_name(fields.index): _create(fields)}

    def existing_definitions(self, connection: Connection) -> dict[str, str]:
        return {str(name): str(sql) for name, sql in connection.execute(EXISTING_OBJECTS, {"prefix": FTS_PREFIX})}

    def replace(self, fields: Fields, existing: Collection[str]) -> list[str]:
        name = fit_name(fields.index)
        new = fit_name(f"{fields.index}_new")
        definition = _create(fields).replace("'", "''")
        return [
            _create(fields, new),  # blocks writers; the next statements block everyone, but take no time
            *self.drop(existing),
            f"ALTER INDEX {new} RENAME TO {name}",
            f"COMMENT ON INDEX {name} IS '{definition}'",
            f"ANALYZE {fields.quoted_table}",  # the planner needs the frequency of words to use the index
        ]

    def drop(self, names: Collection[str]) -> list[str]:
        return [f"DROP INDEX {name}" for name in names]

    def is_own(self, name: str, definition: str) -> bool:
        return definition.startswith(f"CREATE INDEX {name} ON ")

    def rebuild(self, fields: Fields) -> str:
        return f"REINDEX INDEX CONCURRENTLY {fit_name(fields.index)}"


def _create(fields: Fields, name: str = "") -> str:
    return INDEX.format(index=name or fit_name(fields.index), table=fields.quoted_table, vector=_vector(fields))


def _vector(fields: Fields) -> str:
    length = MAX_LETTERS // len(fields.weights)
    columns = {f'{fields.quoted_table}."{name}"': weight for name, weight in fields.weights.items()}
    return " || ".join(VECTOR.format(column=column, weight=columns[column], length=length) for column in columns)


class PostgreSQLVectors(Vectors):
    """Vectors of pgvector. `Vectors` says what each method returns."""

    trigger_names = "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
    trigger_drop = "DROP TRIGGER IF EXISTS {name} ON {table}"

    def create(self, fields: Fields) -> list[str]:
        return [
            f"CREATE TABLE IF NOT EXISTS {self.name(fields.table)} (id bigint NOT NULL, edition integer NOT NULL,"
            f"{slug_column(fields)} embedding vector, PRIMARY KEY (id, edition))",
            CREATE_DELETE_FUNCTION,
        ]

    def events(self, fields: Fields) -> Mapping[str, str]:
        table_name = fields.quoted_table
        changed = changed_sql(fields, "IS DISTINCT FROM")
        action = f"EXECUTE FUNCTION {DELETE_FUNCTION}('{self.name(fields.table)}')"
        return {
            "update": f"UPDATE OF {fields.quoted_columns} ON {table_name} FOR EACH ROW WHEN ({changed}) {action}",
            "delete": f"DELETE ON {table_name} FOR EACH ROW {action}",
            "truncate": f"TRUNCATE ON {table_name} {action}",
        }

    def name(self, table_name: str) -> str:
        return fit_name(super().name(table_name))

    def column_values(self, vector: Vector | None) -> Mapping[str, Any]:
        return {"embedding": None if vector is None else as_text(vector)}

    def insertion(self, rows: Any, example: Mapping[str, Any]) -> Any:
        casts = {"embedding": "CAST(CAST(:embedding AS text) AS vector)"}
        values = ", ".join(casts.get(name, f":{name}") for name in example)
        return text(f"INSERT INTO {rows.name} ({', '.join(example)}) VALUES ({values})")

    def nearest(
        self, within: Select[Any] | None, fields: Fields, edition: int, vector: Vector, max_distance: float
    ) -> Select[int, float]:
        rows = self.rows(fields)
        distance = rows.c.embedding.op("<=>")(literal(as_text(vector)).cast(NativeType("vector"))).label("distance")
        vectors = select_vectors(rows, within, fields, edition)
        return self.select_closest(self.select_newest(vectors, rows, rows.c.embedding, distance), max_distance)

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
