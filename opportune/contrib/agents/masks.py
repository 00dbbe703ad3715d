"""Tables with secrets, and the statements that read them without the secrets.

Common table expressions with the names of the tables hide the secrets, so that no alias or expression reveals them. A
name with a schema would pass by them, so `query_postgresql.py` refuses it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Boolean, Connection, DateTime, Integer, inspect
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.reflection import ObjectKind

from opportune.db.migrations.reflection import ignore_reflection_warnings
from opportune.db.models.sensitive_names import is_secret
from opportune.jobs.models import Job

MASK = "(hidden)"
SEALED = "sealed_"
"""Beginning of the names of encrypted columns."""


@dataclass(frozen=True)
class MaskedTable:
    name: str
    quoted: str
    """The name in SQL."""
    statement: str
    """Statement that reads the table with masked secrets."""
    secrets: frozenset[str]
    """Names of the columns with secrets."""


def masked_tables(connection: Connection) -> list[MaskedTable]:
    """Return the tables and views with secrets."""
    inspector = inspect(connection)
    quote = connection.dialect.identifier_preparer.quote_identifier
    schema = quote(inspector.default_schema_name or "main")
    with ignore_reflection_warnings():
        columns_by_table = inspector.get_multi_columns(kind=ObjectKind.ANY)
    tables = []
    for (_, table), columns in columns_by_table.items():
        secrets = frozenset(column["name"] for column in columns if _is_masked(table, column))
        names = {column["name"]: quote(column["name"]) for column in columns}
        selected = (_masked(quoted) if name in secrets else quoted for name, quoted in names.items())
        if secrets:
            statement = " ".join(["SELECT", ", ".join(selected), "FROM", f"{schema}.{quote(table)}"])
            tables.append(MaskedTable(table, quote(table), statement, secrets))
    return tables


def is_named_secret(table: str, column: str) -> bool:
    """Return whether a column has the name of a secret. Queued e-mails have links to sign in as arguments."""
    return is_secret(column) or column.startswith(SEALED) or (table, column) == (Job.__tablename__, "arguments")


def _is_masked(table: str, column: ReflectedColumn) -> bool:
    """Return whether the name of a column is that of a secret. Numbers, dates and references remain visible."""
    return is_named_secret(table, column["name"]) and not isinstance(column["type"], Integer | Boolean | DateTime)


def _masked(column: str) -> str:
    return f"CASE WHEN {column} IS NOT NULL THEN '{MASK}' END AS {column}"


def with_masks(replacements: Mapping[str, str], sql: str, selected: str = "*") -> str:
    """Return a statement that selects from the given one, with statements that replace tables, by quoted name.

    As a subquery, it cannot write, be several statements, or change the transaction.
    """
    tables = ", ".join(f"{table} AS ({statement})" for table, statement in replacements.items())
    masks = ["WITH", tables] if tables else []
    return " ".join([*masks, "SELECT", selected, "FROM (", "\n", sql, "\n", ") AS statement"])
