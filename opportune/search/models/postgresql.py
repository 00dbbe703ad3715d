"""The index of a table in PostgreSQL: GIN on an expression, so that nothing has to be kept beside the row."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnClause, ColumnElement, Connection, Select, func, literal_column, text

from opportune.db.migrations.post_migrate import PREFIX
from opportune.search.models.indexes import Dialect, Fields
from opportune.search.query import Query
from opportune.search.words import folded_as_postgresql

# Only so much of one text is searched: PostgreSQL refuses a vector of a mebibyte. Accents go, and so do the marks by
# which its parser would take words for hosts, paths and compounds.
WORDS = (
    r"lower(regexp_replace(regexp_replace(normalize(left(coalesce({column}, ''), 100000), NFKD),"
    r" '[\u0300-\u036f]+', '', 'g'), '[!-/:-@[-`{{-~]+', ' ', 'g'))"
)
VECTOR = "setweight(to_tsvector('simple'::regconfig, " + WORDS + "), '{weight}')"
INDEX = "CREATE INDEX {index} ON {table} USING gin (({vector}))"
PRESENT = text("""
    SELECT relname, coalesce(obj_description(oid, 'pg_class'), '') FROM pg_class
    WHERE relkind = 'i' AND starts_with(relname, :prefix) AND pg_table_is_visible(oid)
""")


class PostgreSQL(Dialect):
    def matching(
        self, statement: Select[Any], fields: Fields, typed: str
    ) -> tuple[Select[Any], Sequence[ColumnElement[Any]]]:
        asked = func.to_tsquery(
            literal_column("'simple'::regconfig"), Query.parse(typed, fold=folded_as_postgresql).as_tsquery
        )
        words: ColumnClause[Any] = literal_column(f"({_vector(fields)})")
        key: ColumnClause[int] = literal_column(f"{fields.table}.id")
        rank = func.ts_rank(words, asked)  # as bm25 does, it counts what is repeated less and less
        best = self.newest(statement.where(words.op("@@", is_comparison=True)(asked)), key.label("id"))
        return statement.join(best, best.c.id == key), (rank.desc(), key)

    def wanted(self, fields: Fields) -> dict[str, str]:
        return {fields.index: _create(fields)}

    def present(self, connection: Connection) -> dict[str, str]:
        return {str(name): str(made_by) for name, made_by in connection.execute(PRESENT, {"prefix": PREFIX})}

    def replace(self, fields: Fields, there: Collection[str]) -> list[str]:
        new, made_by = f"{fields.index}_new", _create(fields).replace("'", "''")
        return [
            _create(fields, new),  # keeps writers waiting, and the next ones everybody, but they take no time
            *self.drop(there),
            f"ALTER INDEX {new} RENAME TO {fields.index}",
            f"COMMENT ON INDEX {fields.index} IS '{made_by}'",
            f"ANALYZE {fields.table}",  # how rare a word is decides whether the index is asked first
        ]

    def drop(self, names: Collection[str]) -> list[str]:
        return [f"DROP INDEX {name}" for name in names]

    def rebuild(self, fields: Fields) -> str:
        return f"REINDEX INDEX CONCURRENTLY {fields.index}"


def _create(fields: Fields, name: str = "") -> str:
    return INDEX.format(index=name or fields.index, table=fields.table, vector=_vector(fields))


def _vector(fields: Fields) -> str:
    parts = [VECTOR.format(column=f'{fields.table}."{name}"', weight=weight) for name, weight in fields.weights.items()]
    return " || ".join(parts)
