"""The full-text index of a table: a few statements on each database, which keeps it fresh by itself.

An index has the name of its table after `fts_` and is no model's: migrations, dumps and copies of rows leave it alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import CTE, ColumnElement, Connection, Select

from opportune.db.migrations.post_migrate import PREFIX

MAX_RANKED_ROWS = 1000
"""Rows that are ranked and counted, of those that match."""
WEIGHTS = "ABCD"
"""How much a word counts, as in PostgreSQL: A the most."""


@dataclass(frozen=True)
class Fields:
    """The searched columns of a table, and what a word in each counts."""

    table: str
    weights: Mapping[str, str]
    by_meaning: bool = False
    is_of_documents: bool = False
    """Whether it is no table at all, but what stands for an index of documents beside its vectors."""

    @property
    def index(self) -> str:
        return f"{PREFIX}{self.table}"


class Dialect(ABC):
    """How one kind of database makes an index, and asks it."""

    @abstractmethod
    def matching(
        self, statement: Select[Any], fields: Fields, typed: str
    ) -> tuple[Select[Any], Sequence[ColumnElement[Any]]]:
        """Only the rows that a text finds, of more than `MAX_RANKED_ROWS` the newest; and what puts the best first."""

    def found(self, statement: Select[Any], fields: Fields, typed: str) -> Select[Any]:
        """The same in its order."""
        found, order = self.matching(statement, fields, typed)
        return found.order_by(None).order_by(*order)

    @staticmethod
    def newest(matching: Select[Any], *columns: ColumnElement[Any]) -> CTE:
        """These columns of the rows that match: to rank all that contain a word that nearly all do takes seconds."""
        key = columns[0]
        chosen = matching.with_only_columns(*columns, maintain_column_froms=True).order_by(None)
        return chosen.order_by(key.desc()).limit(MAX_RANKED_ROWS).cte()

    @abstractmethod
    def wanted(self, fields: Fields) -> dict[str, str]:
        """The objects of an index by their names, each with what tells it from one that was made otherwise."""

    @abstractmethod
    def present(self, connection: Connection) -> dict[str, str]:
        """The objects of all indexes that are there, in the same way."""

    @abstractmethod
    def replace(self, fields: Fields, there: Collection[str]) -> list[str]:
        """The statements that make and fill an index in the place of what is there of it."""

    @abstractmethod
    def drop(self, names: Collection[str]) -> list[str]:
        """The statements that remove objects."""

    @abstractmethod
    def rebuild(self, fields: Fields) -> str:
        """The statement that makes an index anew from its rows, while the old one answers."""

    def due(self, connection: Connection, wanted: Sequence[Fields]) -> list[str]:
        """The statements that make the indexes those that are wanted; none if they are."""
        present = self.present(connection)
        parts = {fields.table: self.wanted(fields) for fields in wanted}
        known = {name for each in parts.values() for name in each}
        stale = [fields for fields in wanted if parts[fields.table].items() - present.items()]
        return [
            *self.drop([name for name in present if name not in known]),
            *chain.from_iterable(self.replace(each, parts[each.table].keys() & present.keys()) for each in stale),
        ]
