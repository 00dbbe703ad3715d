"""Tables to copy: their order, their rows and their columns.

Generated columns are left out, because the database computes them.
"""

from collections.abc import Collection, Iterable

from sqlalchemy import Column, Connection, MetaData, Table, func, inspect, select
from sqlalchemy.schema import sort_tables_and_constraints

from opportune.db.migrations.reflection import ignore_reflection_warnings


def sort_tables(metadata: MetaData) -> list[Table]:
    """Return the tables sorted by their foreign keys, as far as there are no cycles."""
    tables = sort_tables_and_constraints(metadata.tables.values())  # type: ignore[no-untyped-call]
    return [table for table, _ in tables if table is not None]


def count_rows(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(select(1).select_from(table).limit(1)).first() is not None


def find_generated_columns(connection: Connection, tables: Iterable[Table]) -> dict[Table, set[str]]:
    """Return the generated columns of tables, according to their models and the database."""
    tables = list(tables)
    with ignore_reflection_warnings():
        existing = inspect(connection).get_multi_columns(filter_names=[table.name for table in tables])
    generated: dict[Table, set[str]] = {}
    for table in tables:
        in_model = {column.name for column in table.columns if column.computed is not None}
        columns = existing.get((None, table.name), ())
        generated[table] = in_model | {column["name"] for column in columns if "computed" in column}
    return generated


def without_columns(table: Table, names: Collection[str]) -> Table:
    """Return a table without these columns, to read and write rows. It has no foreign keys."""
    if not names:
        return table
    stored = [column for column in table.columns if column.name not in names]
    copies = [Column(column.name, column.type, primary_key=column.primary_key) for column in stored]
    return Table(table.name, MetaData(), *copies)
