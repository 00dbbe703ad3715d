"""SQL in migration files that both databases understand."""

from typing import Any

from alembic.ddl.impl import DefaultImpl
from sqlalchemy import ClauseElement, ColumnClause
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler


def quoted(name: str) -> str:
    """Return a name for SQL, in quotes if a database needs them."""
    return PortableDialect().identifier_preparer.quote(name)


def literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


class PortableCompiler(SQLCompiler):
    """Writes expressions that both databases understand."""

    def visit_now_func(self, *_: Any, **_options: Any) -> str:
        return "CURRENT_TIMESTAMP"  # SQLite has no now()


class PortablePreparer(IdentifierPreparer):
    """Quotes the reserved words of both databases."""

    reserved_words = sqlite.dialect.preparer.reserved_words | postgresql.dialect.preparer.reserved_words


class PortableDialect(DefaultDialect):
    """Dialect of SQL expressions in migrations, which both databases understand."""

    name = "portable"
    preparer = PortablePreparer
    statement_compiler = PortableCompiler
    supports_native_boolean = True  # PostgreSQL does not compare a boolean with 1


class PortableImpl(DefaultImpl):
    """Alembic's part of the dialect, registered by `__dialect__`."""

    __dialect__ = PortableDialect.name

    def render_ddl_sql_expr(
        self, expr: ClauseElement, is_server_default: bool = False, is_index: bool = False, **options: Any
    ) -> str:
        """Return the SQL of an expression. PostgreSQL needs operators of an index in parentheses."""
        is_collated = getattr(expr, "operator", None) is operators.collate
        is_alone = isinstance(expr, ColumnClause) or is_collated
        grouped = expr.self_group() if is_index and not is_alone else expr
        return super().render_ddl_sql_expr(grouped, is_server_default, is_index=is_index, **options)
