"""SQL in migration files that both databases understand."""

from functools import cache
from typing import Any

from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.sql.compiler import IdentifierPreparer, SQLCompiler

from opportune.db.migrations.create_statements import escape_parameters

WORDS_OF_POSTGRESQL = """
    analyse any array asymmetric authorization binary both current_catalog current_role current_schema current_user
    do fetch freeze grant ilike leading localtime localtimestamp new off old only over overlaps placing returning
    session_user similar some symmetric trailing user variadic verbose window with
"""
"""Reserved words that SQLite lacks. The dialect, which has a list, would only take memory on sites with SQLite."""


def quote_name(name: str) -> str:
    """Return a name for SQL, in quotes if a database needs them."""
    return _preparer().quote(name)


@cache
def _preparer() -> IdentifierPreparer:
    return PortableDialect().identifier_preparer


def quote_literal(value: str | int) -> str:
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"


def execute_code(statement: str) -> str:
    """Return the code of a migration that runs a statement. In a literal, `:name` is not a parameter."""
    return f"op.execute({escape_parameters(statement)!r})"


class PortableCompiler(SQLCompiler):
    """Writes expressions that both databases understand."""

    def visit_now_func(self, *_: Any, **_options: Any) -> str:
        return "CURRENT_TIMESTAMP"  # SQLite has no now()


class PortablePreparer(IdentifierPreparer):
    """Quotes the reserved words of both databases."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        from sqlalchemy.dialects import sqlite  # sites with PostgreSQL seldom need this dialect

        super().__init__(*arguments, **options)
        self.reserved_words = {*sqlite.dialect.preparer.reserved_words, *WORDS_OF_POSTGRESQL.split()}


class PortableDialect(DefaultDialect):
    """Dialect of SQL expressions in migrations, which both databases understand."""

    name = "portable"
    preparer = PortablePreparer
    statement_compiler = PortableCompiler
    supports_native_boolean = True  # PostgreSQL does not compare a boolean with 1
