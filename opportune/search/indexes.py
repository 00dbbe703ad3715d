"""Full-text indexes of tables, updated by the database.

The name of an index is `fts_` and the name of its table. Migrations, dumps and copies ignore it.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

from sqlalchemy import CTE, ColumnElement, Connection, Select, literal_column

from opportune.db.migrations.portable_sql import quote_name
from opportune.db.migrations.post_migrate import FTS_PREFIX

MAX_RANKED_ROWS = 1000
"""Maximum number of matching rows that are ranked and counted."""
WEIGHTS = "ABCD"
"""Weights of words as in PostgreSQL; A is the highest."""


@dataclass(frozen=True)
class Fields:
    """Searched columns of a table with their weights."""

    table: str
    weights: Mapping[str, str]
    by_meaning: bool = False
    has_documents: bool = False
    """Whether it is a document index, which has vectors but no table."""

    @property
    def index(self) -> str:
        return f"{FTS_PREFIX}{self.table.lower()}"  # needs no quotes

    @property
    def key(self) -> Any:
        """The column `id` of the table, for statements."""
        return literal_column(f"{self.quoted_table}.id")

    @property
    def quoted_table(self) -> str:
        return quote_name(self.table)

    @property
    def quoted_columns(self) -> str:
        return ", ".join(f'"{name}"' for name in self.weights)


class Matches(NamedTuple):
    """Rows that full-text search found."""

    rows: Select[Any]
    relevance: Sequence[ColumnElement[Any]]
    """Order of the rows, the best first."""


class Dialect(ABC):
    """Index statements of a database engine."""

    @abstractmethod
    def matching(self, statement: Select[Any], fields: Fields, query_text: str) -> Matches:
        """Return the matching rows, at most the newest `MAX_RANKED_ROWS`."""

    def ranked(self, statement: Select[Any], fields: Fields, query_text: str) -> Select[Any]:
        """Return the matching rows ordered by relevance."""
        matches = self.matching(statement, fields, query_text)
        return matches.rows.order_by(None).order_by(*matches.relevance)

    @staticmethod
    def newest(matching: Select[Any], *columns: ColumnElement[Any]) -> CTE:
        """Select columns of the newest matching rows. Ranking all rows with a frequent word would take seconds."""
        key = columns[0]
        rows = matching.with_only_columns(*columns, maintain_column_froms=True).order_by(None)
        return rows.order_by(key.desc()).limit(MAX_RANKED_ROWS).cte()

    @abstractmethod
    def definitions(self, fields: Fields) -> dict[str, str]:
        """Return the definitions of the database objects of an index by name."""

    @abstractmethod
    def existing_definitions(self, connection: Connection) -> dict[str, str]:
        """Return the definitions of existing objects of all indexes by name."""

    @abstractmethod
    def replace(self, fields: Fields, existing: Collection[str]) -> list[str]:
        """Return the statements that create and fill an index and drop its existing objects."""

    @abstractmethod
    def drop(self, names: Collection[str]) -> list[str]:
        """Return the statements that drop objects."""

    @abstractmethod
    def is_own(self, name: str, definition: str) -> bool:
        """Return whether an existing object belongs to an index of this class, and not to another program."""

    @abstractmethod
    def rebuild(self, fields: Fields) -> str:
        """Return the statement that rebuilds an index from its rows, while the old one is used."""

    def due_statements(self, connection: Connection, required: Sequence[Fields]) -> list[str]:
        """Return the statements that create missing indexes and drop obsolete ones."""
        existing_definitions = self.existing_definitions(connection)
        definitions = {fields.table: self.definitions(fields) for fields in required}
        required_names = set(chain.from_iterable(definitions.values()))
        others = {name: sql for name, sql in existing_definitions.items() if name not in required_names}
        statements = self.drop([name for name, sql in others.items() if self.is_own(name, sql)])
        for fields in required:
            new = definitions[fields.table]
            if new.items() - existing_definitions.items():
                statements += self.replace(fields, new.keys() & existing_definitions.keys())
        return statements
