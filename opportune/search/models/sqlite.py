"""Full-text index in SQLite: FTS5 without a copy of the texts, updated by triggers."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnClause,
    ColumnElement,
    Connection,
    Select,
    column,
    func,
    literal_column,
    select,
    table,
    text,
)

from opportune.db.migrations.fts5 import TRIGGERS, fill_fts5, fts5_definitions, is_own_fts5
from opportune.db.migrations.post_migrate import FTS_PREFIX
from opportune.search.models.indexes import Dialect, Fields
from opportune.search.query import Query

# Weights of bm25, with the ratios of the letters in PostgreSQL.
FACTORS = {"A": 10.0, "B": 4.0, "C": 2.0, "D": 1.0}
OPTIONS = "tokenize='unicode61 remove_diacritics 2', prefix='3'"
EXISTING_OBJECTS = text("""
    SELECT name, sql FROM sqlite_master WHERE name LIKE :prefix ESCAPE '\\'
    AND (type = 'trigger' OR sql LIKE 'CREATE VIRTUAL TABLE % USING fts5(%')
""")


def materialized(statement: Select[Any]) -> CTE:
    """Make SQLite evaluate a statement once, instead of once per row of the outer query."""
    cte = statement.cte()
    prefixed = cte.prefix_with("MATERIALIZED")
    # Its anonymous name is the memory address of `cte`, so keep that object alive.
    vars(prefixed)["named_by"] = cte
    return prefixed


class SQLite(Dialect):
    def matching(
        self, statement: Select[Any], fields: Fields, query_text: str
    ) -> tuple[Select[Any], Sequence[ColumnElement[Any]]]:
        index = table(fields.index, column("rowid"))
        key: ColumnClause[int] = literal_column(f"{fields.table}.id")
        factors: list[ColumnClause[float]] = [
            literal_column(str(FACTORS[weight])) for weight in fields.weights.values()
        ]
        query = Query.parse(query_text, fold=str.lower).as_fts5  # FTS5 removes accents
        matching = materialized(
            select(index.c.rowid, func.bm25(literal_column(fields.index), *factors).label("place")).where(
                literal_column(fields.index).op("MATCH")(query or '""')
            )
        )
        best = self.newest(statement.join(matching, matching.c.rowid == key), key.label("id"), matching.c.place)
        return statement.join(best, best.c.id == key), (best.c.place, key)

    def definitions(self, fields: Fields) -> dict[str, str]:
        return fts5_definitions(fields.index, fields.table, [*fields.weights], OPTIONS)

    def existing_definitions(self, connection: Connection) -> dict[str, str]:
        prefix = FTS_PREFIX.replace("_", "\\_") + "%"
        return {str(name): str(sql) for name, sql in connection.execute(EXISTING_OBJECTS, {"prefix": prefix})}

    def replace(self, fields: Fields, existing: Collection[str]) -> list[str]:
        return [*self.drop(existing), *self.definitions(fields).values(), self.rebuild(fields)]

    def drop(self, names: Collection[str]) -> list[str]:
        suffixes = tuple(TRIGGERS)
        triggers = [name for name in names if name.endswith(suffixes)]
        return [
            *(f"DROP TRIGGER {name}" for name in triggers),
            *(f"DROP TABLE {name}" for name in names if name not in triggers),
        ]

    def is_own(self, name: str, definition: str) -> bool:
        return is_own_fts5(FTS_PREFIX, name, definition)

    def rebuild(self, fields: Fields) -> str:
        return fill_fts5(fields.index)
