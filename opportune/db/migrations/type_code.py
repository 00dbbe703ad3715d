"""Code of column types in migrations, which does not import types of SQLModel and Opportune."""

from typing import Any, Literal

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Column
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

from opportune.db.models.columns import unwrap_type


def column_code(column: Column[Any]) -> str:
    """Return the code of a column for `sa.table`, typed so that both databases accept its values."""
    type_ = unwrap_type(column.type)
    is_generic = type(type_).__module__.startswith("sqlalchemy.sql.")
    return f"sa.column({column.name!r}, sa.{type_!r})" if is_generic else f"sa.column({column.name!r})"


def portable_type_code(type_: TypeDecorator[Any], imports: set[str]) -> str:
    """Return the code of a TypeDecorator's type, with PostgreSQL's type if that is JSONB."""
    native = type_.load_dialect_impl(postgresql.dialect())  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    if not isinstance(native, postgresql.JSONB):
        return f"sa.{type_.impl_instance!r}"
    imports.add("from sqlalchemy.dialects import postgresql")
    return (
        f"sa.{type_.impl_instance!r}.with_variant(postgresql.JSONB(none_as_null={native.none_as_null}), 'postgresql')"
    )


def render_item(imports: set[str], item_type: str, item: Any, context: Any) -> str | Literal[False]:
    """Render types of SQLModel and Opportune as SQLAlchemy types, so that old migrations work. Import other types."""
    if item_type != "type":
        return False
    package, *rest = type(item).__module__.split(".")
    if package in ("opportune", "sqlmodel") and isinstance(item, TypeDecorator):
        return portable_type_code(item, imports)
    if package != "sqlalchemy":
        imports.add(f"import {type(item).__module__}")
    elif rest[0] == "dialects":
        imports.add(f"from sqlalchemy.dialects import {rest[1]}")
        if rest[1] == "postgresql":
            return _postgresql_type_code(item, context)
    return False


def _postgresql_type_code(type_: Any, context: Any) -> str | Literal[False]:
    """Return the code of an array or of JSON with the types that it contains; False for other types."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    code = MigrationContext.configure(dialect=dialect).impl.render_type(type_, context)
    # Otherwise the type of an enum array would not be created.
    return code.replace(", _create_events=False", "") if code else False
