"""Generated columns, which the database computes. Copies and dumps leave them out."""

from collections.abc import Collection, Iterable

from sqlalchemy import Column, Connection, MetaData, Table, inspect

from opportune.db.migrations.reflection_warnings import ignore_reflection_warnings


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
