"""Foreign keys with a wrong target or action, and cycles of foreign keys between tables."""

from collections.abc import Iterable, Iterator
from importlib import import_module
from itertools import chain
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.exc import NoReferenceError

from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.feature_packages import feature_packages
from opportune.project.installed import feature_of_table
from opportune.project.layout import PACKAGE, PROJECT, feature_module

ACTIONS = ("CASCADE", "RESTRICT", "SET NULL", "SET DEFAULT", "NO ACTION")


def refuse_wrong_keys(metadata: MetaData) -> None:
    """Refuse foreign keys that reference nothing, or with an action that databases do not have."""
    for table in metadata.tables.values():
        for key in table.foreign_keys:
            if not _has_target(key):
                raise OperatorError(f"{table.name}.{key.parent.name}: {_describe_target(key, metadata)}")
            for option in ("ondelete", "onupdate"):
                action = getattr(key, option) or ACTIONS[0]
                if action.upper().partition(" (")[0] not in ACTIONS:
                    hint = did_you_mean(action.upper(), ACTIONS) or f" There are: {', '.join(ACTIONS)}."
                    raise OperatorError(f'{table.name}.{key.parent.name}: {option}="{action}" is no action.{hint}')


def load_targets(columns: Iterable[Any]) -> None:
    """Import the models that these columns reference, if `installed.py` imports their feature later."""
    for key in chain.from_iterable(column.foreign_keys for column in columns):
        if not _has_target(key) and (feature := _feature_with_models(key)):
            import_module(f"{feature_module(feature)}.models")
        if not _has_target(key):
            raise OperatorError(f"{key.parent}: {_describe_target(key, key.parent.table.metadata)}")


def _feature_with_models(key: ForeignKey) -> str | None:
    """Return the feature of the project that has the table of a foreign key by its name."""
    names = [file.parent.name for file in (PROJECT / PACKAGE).glob("*/models.py")]
    return feature_of_table(key.target_fullname.rpartition(".")[0], [*names, *feature_packages()])


def _has_target(key: ForeignKey) -> bool:
    try:
        return key.column is not None  # resolves the name
    except NoReferenceError:
        return False


def _describe_target(key: ForeignKey, metadata: MetaData) -> str:
    name, _, column = key.target_fullname.rpartition(".")
    if not name:
        return f'foreign_key="{column}" has no column. Write foreign_key="{column}.id".'
    if (table := metadata.tables.get(name)) is not None:
        return f'foreign_key="{name}.{column}": {name} has no column {column}.{did_you_mean(column, table.c.keys())}'
    hint = did_you_mean(name, metadata.tables) or " Write the __tablename__ of a model of an installed feature."
    return f'foreign_key="{name}.{column}": there is no table {name}.{hint}'


def break_cycles(metadata: MetaData) -> None:
    """Mark the foreign keys that close a cycle, so that they are added after all tables exist.

    SQLAlchemy cannot sort tables with a cycle and would warn each time.
    """
    for key in find_closing_keys(metadata.tables.values()):
        key.use_alter = True


def find_closing_keys(tables: Iterable[Table]) -> Iterator[ForeignKeyConstraint]:
    """Yield foreign keys whose removal leaves no cycle of tables."""
    visited: set[Table] = set()
    path: list[Table] = []

    def visit(table: Table) -> Iterator[ForeignKeyConstraint]:
        visited.add(table)
        path.append(table)
        for key in sorted(table.foreign_key_constraints, key=lambda key: list(key.column_keys)):
            target = _target_of(key)
            if target in path:
                yield key
            elif target is not None and target not in visited:
                yield from visit(target)
        path.pop()

    for table in sorted(tables, key=lambda table: table.fullname):
        if table not in visited:
            yield from visit(table)


def _target_of(key: ForeignKeyConstraint) -> Table | None:
    """Return the table that a key references, unless it cannot close a cycle."""
    try:
        target = key.referred_table
    except NoReferenceError:  # its feature is not installed
        return None
    return None if key.use_alter or target is key.parent else target
