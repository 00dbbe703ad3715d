"""`__table_args__` of generated models: constraints, indexes and comments."""

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa
from sqlacodegen.utils import render_callable, uses_default_name
from sqlalchemy.dialects import postgresql

from opportune.db.migrations.create_statements import escape_parameters

Imports = set[tuple[str, str]]
"""Pairs of a package and a name to import from it."""
OPTIONS_WITHOUT_FIELD = ("onupdate", "deferrable", "initially", "match", "use_alter")
"""Options of foreign keys that a field does not have."""


def table_arguments(table: sa.Table, plain_columns: Collection[sa.Column[Any]]) -> tuple[list[str], Imports]:
    """Return `__table_args__` and their imports, without simple foreign keys, which are options of plain fields."""
    writer = _ArgumentWriter(plain_columns)
    constraints = sorted(
        table.constraints, key=lambda item: (type(item).__name__, [*getattr(item, "column_keys", ())], str(item.name))
    )
    indexes = sorted(table.indexes, key=lambda index: str(index.name))
    arguments = [code for constraint in constraints if (code := writer.constraint(constraint))]
    arguments += [writer.index(index) for index in indexes if not is_field_option(index)]
    if table.comment:
        arguments.append(f'{{"comment": {table.comment!r}}}')
    return arguments, writer.imports


def plain_foreign_key(column: sa.Column[Any]) -> sa.ForeignKeyConstraint | None:
    """Return the foreign key of a column, if the options of a field can describe it."""
    keys = [key.constraint for key in column.foreign_keys if key.constraint is not None]
    if len(keys) != 1 or len(keys[0].columns) != 1:
        return None
    (key,) = keys
    return None if any(getattr(key, option) for option in OPTIONS_WITHOUT_FIELD) else key


def is_field_option(item: sa.UniqueConstraint | sa.Index) -> bool:
    """Return True if `unique=True` or `index=True` of a field is equivalent."""
    if len(item.columns) != 1 or not uses_default_name(item) or any(map(_is_set, item.kwargs.values())):
        return False
    return not isinstance(item, sa.Index) or (not item.unique and list(item.expressions) == list(item.columns))


class _ArgumentWriter:
    """Writes the code of constraints and indexes, and collects their imports."""

    def __init__(self, plain_columns: Collection[sa.Column[Any]]) -> None:
        self.plain_columns = plain_columns
        self.imports: Imports = set()

    def constraint(self, constraint: sa.Constraint) -> str | None:
        """Return the code; None if an option of a field is equivalent, and for checks without a name."""
        match constraint:
            case sa.UniqueConstraint():
                return None if is_field_option(constraint) else self._unique(constraint)
            case sa.ForeignKeyConstraint():
                columns = (column for column in constraint.columns if column in self.plain_columns)
                is_option = any(plain_foreign_key(column) is constraint for column in columns)
                return None if is_option else self._foreign_key(constraint)
            case sa.CheckConstraint(name=str(name)):
                self.imports |= {("sqlalchemy", "CheckConstraint"), ("sqlalchemy.sql.elements", "conv")}
                return f"CheckConstraint({_sql_of(constraint.sqltext)!r}, name=conv({str(name)!r}))"
        return None

    def index(self, index: sa.Index) -> str:
        self.imports.add(("sqlalchemy", "Index"))
        parts = [self._clause(expression) for expression in index.expressions]
        kwargs: dict[str, Any] = {
            name: self._clause(value) for name, value in sorted(index.kwargs.items()) if _is_set(value)
        }
        if index.unique:
            kwargs["unique"] = True
        return render_callable("Index", repr(index.name), *parts, kwargs=kwargs)

    def _unique(self, constraint: sa.UniqueConstraint) -> str:
        self.imports.add(("sqlalchemy", "UniqueConstraint"))
        kwargs: dict[str, Any] = {} if uses_default_name(constraint) else {"name": repr(constraint.name)}
        for option in ("deferrable", "initially"):
            if value := getattr(constraint, option):
                kwargs[option] = repr(value)
        kwargs |= {name: repr(value) for name, value in constraint.kwargs.items() if _is_set(value)}
        return render_callable("UniqueConstraint", *(repr(column.name) for column in constraint.columns), kwargs=kwargs)

    def _foreign_key(self, key: sa.ForeignKeyConstraint) -> str:
        self.imports.add(("sqlalchemy", "ForeignKeyConstraint"))
        columns = [element.parent.name for element in key.elements]
        options = {option: getattr(key, option) for option in ("ondelete", *OPTIONS_WITHOUT_FIELD)}
        return render_callable(
            "ForeignKeyConstraint",
            repr(columns),
            repr([element.target_fullname for element in key.elements]),
            kwargs={option: repr(value) for option, value in options.items() if value},
        )

    def _clause(self, value: Any) -> str:
        if isinstance(value, sa.Column):
            return repr(value.name)
        if not isinstance(value, sa.ClauseElement):
            return repr(value)
        self.imports.add(("sqlalchemy", "text"))
        return f"text({_sql_of(value)!r})"


def _sql_of(clause: sa.ClauseElement) -> str:
    """Return SQL for `text()`."""
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]
    return escape_parameters(str(clause.compile(dialect=dialect, compile_kwargs={"include_table": False})))


def _is_set(value: object) -> bool:
    """Return True if an option is set. Clauses, such as conditions of partial indexes, have no truth value."""
    return isinstance(value, sa.ClauseElement) or bool(value)
