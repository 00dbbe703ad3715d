"""Constraints and indexes of a model, as code for `__table_args__`."""

from collections.abc import Collection
from typing import Any

from sqlacodegen.utils import render_callable, uses_default_name
from sqlalchemy import (
    CheckConstraint,
    ClauseElement,
    Column,
    Constraint,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql

Imports = set[tuple[str, str]]
"""Packages and what to import from them."""
FOREIGN_KEY_OPTIONS = ("ondelete", "onupdate", "deferrable", "initially", "match", "use_alter")


def table_arguments(table: Table, plain: Collection[Column[Any]]) -> tuple[list[str], Imports]:
    """Return the arguments, and their imports, for what fields do not say.

    `plain` are the columns of plain fields, which have their foreign key as an option.
    """
    writer = _Writer(plain)
    constraints = sorted(table.constraints, key=lambda each: (type(each).__name__, _columns(each), str(each.name)))
    indexes = sorted((each for each in table.indexes if not is_simple(each)), key=lambda each: str(each.name))
    arguments = [*filter(None, map(writer.constraint, constraints)), *map(writer.index, indexes)]
    if table.comment:
        arguments.append(f'{{"comment": {table.comment!r}}}')
    return arguments, writer.imports


def single_key(column: Column[Any]) -> ForeignKeyConstraint | None:
    """Return the foreign key of this column alone, if the options of a field can say all of it."""
    keys = [each.constraint for each in column.foreign_keys if each.constraint is not None]
    if len(keys) != 1 or len(keys[0].columns) != 1:
        return None
    (key,) = keys
    return None if any(getattr(key, option) for option in FOREIGN_KEY_OPTIONS[1:]) else key


def uniques(table: Table) -> list[UniqueConstraint]:
    return [each for each in table.constraints if isinstance(each, UniqueConstraint)]


def is_simple(part: UniqueConstraint | Index) -> bool:
    """Tell if `unique=True` or `index=True` of a field makes the same."""
    if len(part.columns) != 1 or not uses_default_name(part) or any(map(_is_given, part.kwargs.values())):
        return False
    return not isinstance(part, Index) or (not part.unique and list(part.expressions) == list(part.columns))


class _Writer:
    def __init__(self, plain: Collection[Column[Any]]) -> None:
        self.plain = plain
        self.imports: Imports = set()

    def constraint(self, constraint: Constraint) -> str:
        """Return the code; empty if a field says it, or if nothing could refer to it by name."""
        match constraint:
            case PrimaryKeyConstraint():
                return ""
            case UniqueConstraint():
                return "" if is_simple(constraint) else self._unique(constraint)
            case ForeignKeyConstraint():
                is_said = any(single_key(each) is constraint for each in constraint.columns if each in self.plain)
                return "" if is_said else self._foreign_key(constraint)
            case CheckConstraint(name=str(name)):
                self.imports |= {("sqlalchemy", "CheckConstraint"), ("sqlalchemy.sql.elements", "conv")}
                return f"CheckConstraint({str(constraint.sqltext)!r}, name=conv({str(name)!r}))"
        return ""

    def index(self, index: Index) -> str:
        self.imports.add(("sqlalchemy", "Index"))
        parts = [self._clause(each) for each in index.expressions]
        kwargs = {name: self._option(name, value) for name, value in sorted(index.kwargs.items()) if _is_given(value)}
        return render_callable(
            "Index", repr(index.name), *parts, kwargs=kwargs | ({"unique": True} if index.unique else {})
        )

    def _unique(self, constraint: UniqueConstraint) -> str:
        self.imports.add(("sqlalchemy", "UniqueConstraint"))
        kwargs: dict[str, Any] = {} if uses_default_name(constraint) else {"name": repr(constraint.name)}
        for option in ("deferrable", "initially"):
            if value := getattr(constraint, option):
                kwargs[option] = repr(value)
        kwargs |= {name: repr(value) for name, value in constraint.kwargs.items() if value}
        return render_callable("UniqueConstraint", *(repr(each.name) for each in constraint.columns), kwargs=kwargs)

    def _foreign_key(self, key: ForeignKeyConstraint) -> str:
        self.imports.add(("sqlalchemy", "ForeignKeyConstraint"))
        columns = [each.parent.name for each in key.elements]
        kwargs = {option: repr(value) for option in FOREIGN_KEY_OPTIONS if (value := getattr(key, option))}
        return render_callable(
            "ForeignKeyConstraint", repr(columns), repr([each.target_fullname for each in key.elements]), kwargs=kwargs
        )

    def _option(self, name: str, value: Any) -> str:
        if name.endswith("_where"):
            self.imports.add(("sqlalchemy", "text"))
            return f"text({str(value)!r})"
        return self._clause(value)

    def _clause(self, value: Any) -> str:
        if isinstance(value, Column):
            return repr(value.name)
        if not isinstance(value, ClauseElement):
            return repr(value)
        self.imports.add(("sqlalchemy", "text"))
        words = value.compile(dialect=postgresql.dialect(), compile_kwargs={"include_table": False})  # type: ignore[no-untyped-call]  # SQLAlchemy's own
        return f"text({str(words)!r})"


def _columns(constraint: Constraint) -> list[str]:
    return list(getattr(constraint, "column_keys", []))


def _is_given(value: object) -> bool:
    """Tell if an option is set. The condition of a partial index has no truth value."""
    return isinstance(value, ClauseElement) or bool(value)
