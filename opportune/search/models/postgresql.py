"""Full-text index in PostgreSQL: a GIN index on an expression, without additional columns."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, Connection, Select, func, literal_column, text

from opportune.db.migrations.post_migrate import FTS_PREFIX
from opportune.search.models.indexes import Dialect, Fields
from opportune.search.query import Query
from opportune.search.words import fold_like_postgresql

# Texts are cut, because PostgreSQL limits a tsvector to 1 MiB. Accents and punctuation are removed.
# With punctuation, the parser would detect host names, paths and compounds.
WORDS = (
    r"lower(regexp_replace(regexp_replace(normalize(left(coalesce({column}, ''), 100000), NFKD),"
    r" '[\u0300-\u036f]+', '', 'g'), '[!-/:-@[-`{{-~]+', ' ', 'g'))"
)
VECTOR = "setweight(to_tsvector('simple'::regconfig, " + WORDS + "), '{weight}')"
INDEX = "CREATE INDEX {index} ON {table} USING gin (({vector}))"
EXISTING_OBJECTS = text("""
    SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
    WHERE relkind = 'i' AND starts_with(relname, :prefix) AND pg_table_is_visible(oid)
""")


class PostgreSQL(Dialect):
    def matching(
        self, statement: Select[Any], fields: Fields, query_text: str
    ) -> tuple[Select[Any], Sequence[ColumnElement[Any]]]:
        query = func.to_tsquery(
            literal_column("'simple'::regconfig"), Query.parse(query_text, fold=fold_like_postgresql).as_tsquery
        )
        words: ColumnClause[Any] = literal_column(f"({_vector(fields)})")
        key: ColumnClause[int] = literal_column(f"{fields.table}.id")
        rank = func.ts_rank(words, query)  # repeated words count less and less, as with bm25
        best = self.newest(statement.where(words.op("@@", is_comparison=True)(query)), key.label("id"))
        return statement.join(best, best.c.id == key), (rank.desc(), key)

    def definitions(self, fields: Fields) -> dict[str, str]:
        return {fields.index: _create(fields)}

    def existing_definitions(self, connection: Connection) -> dict[str, str]:
        return {str(name): str(sql) for name, sql in connection.execute(EXISTING_OBJECTS, {"prefix": FTS_PREFIX})}

    def replace(self, fields: Fields, existing: Collection[str]) -> list[str]:
        new, definition = f"{fields.index}_new", _create(fields).replace("'", "''")
        return [
            _create(fields, new),  # blocks writers; the next statements block everyone, but take no time
            *self.drop(existing),
            f"ALTER INDEX {new} RENAME TO {fields.index}",
            f"COMMENT ON INDEX {fields.index} IS '{definition}'",
            f"ANALYZE {fields.table}",  # the planner needs the frequency of words to use the index
        ]

    def drop(self, names: Collection[str]) -> list[str]:
        return [f"DROP INDEX {name}" for name in names]

    def is_own(self, name: str, definition: str) -> bool:
        return definition.startswith(f"CREATE INDEX {name} ON ")

    def rebuild(self, fields: Fields) -> str:
        return f"REINDEX INDEX CONCURRENTLY {fields.index}"


def _create(fields: Fields, name: str = "") -> str:
    return INDEX.format(index=name or fields.index, table=fields.table, vector=_vector(fields))


def _vector(fields: Fields) -> str:
    parts = [VECTOR.format(column=f'{fields.table}."{name}"', weight=weight) for name, weight in fields.weights.items()]
    return " || ".join(parts)
