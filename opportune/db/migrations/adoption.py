"""Tables that were there before their migration: compared with what it would make, and then taken over as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, ForeignKeyConstraint, Index, MetaData, inspect

from opportune.db.migrations.expression_indexes import ignore_reflection_warnings
from opportune.db.migrations.graph import Migration
from opportune.db.migrations.naming import describe, flatten
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.post_migrate import is_derived
from opportune.db.migrations.recording import record
from opportune.errors import OperatorError


@dataclass(frozen=True)
class Difference:
    """How a table that is there is not what its migration makes."""

    text: str
    is_harmful: bool
    """Whether the model could not work with the table."""


@ignore_reflection_warnings()
def differences(connection: Connection, migration: Migration) -> list[Difference] | None:
    """How the tables that are there differ from those that the first migration of a feature makes; None if none is.

    Raises:
        OperatorError: some of them are there and others are not.
    """
    operations = record(migration, kind=connection.dialect.name)
    wanted = [each.table_name for each in operations if isinstance(each, ops.CreateTableOp)]
    there = set(inspect(connection).get_table_names())
    missing = [name for name in wanted if name not in there]
    if len(missing) == len(wanted):
        return None
    if missing:
        raise OperatorError(
            f"{migration} makes {', '.join(wanted)}, and of these {', '.join(missing)} is not there: "
            "what was made by halves cannot be adopted."
        )
    named = {each.index_name for each in operations if isinstance(each, ops.CreateIndexOp)}
    found = [
        each
        for each in _compared(connection, _tables(operations), wanted)
        if not (isinstance(each, ops.DropIndexOp) and each.index_name in named)  # on an expression
    ]
    return list(_described(connection, migration.feature, found))


def _tables(operations: Sequence[ops.MigrateOperation]) -> MetaData:
    """What the operations make, and what that points at."""
    metadata = MetaData()
    created = {each.table_name: each.to_table() for each in operations if isinstance(each, ops.CreateTableOp)}
    for table in created.values():
        table.to_metadata(metadata)
    stubs = [stub for table in created.values() for stub in table.metadata.tables.values()]
    for stub in stubs:
        if stub.name not in metadata.tables:
            stub.to_metadata(metadata)
    for each in operations:
        if isinstance(each, ops.CreateForeignKeyOp) and each.source_table in created:
            metadata.tables[each.source_table].append_constraint(_late_key(each))
        if isinstance(each, ops.CreateIndexOp) and each.table_name in created:
            columns = metadata.tables[each.table_name].columns
            if all(isinstance(part, str) and part in columns for part in each.columns):  # others cannot be compared
                Index(each.index_name, *(columns[str(part)] for part in each.columns), unique=each.unique)
    return metadata


def _late_key(operation: ops.CreateForeignKeyOp) -> ForeignKeyConstraint:
    """A foreign key of tables that need each other: SQLAlchemy does not sort them by it."""
    columns = [f"{operation.referent_table}.{column}" for column in operation.remote_cols]
    options = {name: value for name, value in operation.kw.items() if not name.endswith("_schema")}
    return ForeignKeyConstraint(
        operation.local_cols, columns, operation.constraint_name, **options | {"use_alter": True}
    )


def _compared(connection: Connection, metadata: MetaData, tables: Sequence[str]) -> list[ops.MigrateOperation]:
    """What would make the tables that are there what the metadata says."""

    def names(name: str | None, kind: str, _parents: object) -> bool:
        return name in tables if kind == "table" else not is_derived(name)

    def objects(item: object, name: str | None, kind: str, reflected: bool, _other: object) -> bool:
        if reflected and isinstance(item, ForeignKeyConstraint):  # models refer to models only
            return item.referred_table.key in metadata.tables
        return names(name, kind, None)

    options = {**OPTIONS, "include_name": names, "include_object": objects}
    script = produce_migrations(MigrationContext.configure(connection, opts=options), metadata)
    return flatten(script.upgrade_ops.ops if script.upgrade_ops else [])


def _described(
    connection: Connection, feature: str, operations: Sequence[ops.MigrateOperation]
) -> Iterator[Difference]:
    keys = inspect(connection).get_multi_pk_constraint()
    rest: list[ops.MigrateOperation] = []
    for each in operations:
        if isinstance(each, (ops.AddColumnOp, ops.AlterColumnOp, ops.DropColumnOp)):
            column = getattr(each, "column_name", "")
            yield from _of_column(each, is_key=column in keys[None, each.table_name]["constrained_columns"])
        elif not _is_unnamed_there(connection, each):
            rest.append(each)
    for change in describe(rest, feature):
        words = {"+": "is not there", "-": "is there besides", "~": "is another one"}[change.sign]
        yield Difference(f"{change.words.partition(' ')[2]} {words}", is_harmful=False)


def _is_unnamed_there(connection: Connection, operation: ops.MigrateOperation) -> bool:
    """Whether a unique constraint is there, but SQLite was never told of its name."""
    if not isinstance(operation, ops.CreateUniqueConstraintOp):
        return False
    present = inspect(connection).get_unique_constraints(operation.table_name)
    return any(not each["name"] and each["column_names"] == list(operation.columns) for each in present)


def _of_column(operation: ops.MigrateOperation, *, is_key: bool) -> Iterator[Difference]:
    match operation:
        case ops.AddColumnOp(table_name=table, column=column):
            yield Difference(f"{table}.{column.name} ({column.type}) is not there", is_harmful=True)
        case ops.DropColumnOp(table_name=table, column_name=name):
            is_wanted = not operation.to_column().nullable and operation.to_column().server_default is None
            yield Difference(f"{table}.{name} is there besides, and no model has it", is_harmful=is_wanted)
        case ops.AlterColumnOp(table_name=table, column_name=name):
            place = f"{table}.{name}"
            if operation.modify_type is not None:
                yield Difference(f"{place} is {operation.existing_type} and not {operation.modify_type}", True)
            if operation.modify_nullable is not None and not is_key:  # of keys SQLite says it anyhow
                words = (
                    "may be empty and should not" if not operation.modify_nullable else "may not be empty and should"
                )
                yield Difference(f"{place} {words}", True)
            if operation.modify_server_default is not False:
                yield Difference(f"{place} has another default of the database's", is_harmful=False)
