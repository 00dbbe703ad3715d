"""The SQL of one migration, as a script for the database's own client."""

import io
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import CommandError, load_python_file
from sqlalchemy import Connection, Executable, delete, insert
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateTable

from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.duplicates import MARK
from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.history import VERSION_TABLE
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.runner import Step, run_migrations
from opportune.errors import OperatorError

# With these a client need not be told what is in no transaction, and a copy of a table does not cascade.
BEGIN = {"sqlite": ["PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"], "postgresql": ["BEGIN"]}
WRITING = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "REPLACE", "UPDATE")
READING = ("SELECT", "VALUES", "WITH")
# What is read of the schema, which the script's reader has as well, and not of the rows.
CATALOGUES = ("sqlite_master", "sqlite_schema", "sqlite_temp_master", "pragma_", VERSION_TABLE.name)


def migration_sql(graph: MigrationGraph, step: Step, kind: str) -> str:
    """The statements of a migration and the record of it, in one transaction.

    Raises:
        OperatorError: what it does depends on the rows that it finds.
    """
    lines = _for_postgresql(step) if kind == "postgresql" else _for_sqlite(graph, step)
    begin = BEGIN["postgresql" if kind == "postgresql" else "sqlite"]
    return "".join(f"{line.strip()};\n" for line in [*begin, *lines, "COMMIT"])


def _for_sqlite(graph: MigrationGraph, step: Step) -> list[str]:
    """What an empty database executes that has all that the migration needs: copying tables means to look at them."""
    *before, _ = graph.needed_by(step.migration)
    with in_memory_connection() as connection:
        for migration in before if step.direction == "upgrade" else [*before, step.migration]:
            _take(connection, graph, Step(migration, "upgrade"))
        executed: list[str] = []
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(lambda line: executed.append(line.strip()))  # has the values in their places
        _take(connection, graph, step)
        driver.set_trace_callback(None)
    if any(map(_asks_for_rows, executed)):
        raise OperatorError(_untold(step))
    lines = [line for line in executed if line.upper().startswith(WRITING)]
    return [
        line.replace(f"CREATE TABLE {VERSION_TABLE.name}", f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE.name}")
        for line in lines
    ]


def _for_postgresql(step: Step) -> list[str]:
    output = io.StringIO()
    # Other styles of parameters would double each percent sign.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    options = {**OPTIONS, "as_sql": True, "literal_binds": True, "output_buffer": output}
    context = MigrationContext.configure(dialect=dialect, opts=options)
    migration = step.migration
    module: Any = load_python_file(migration.path.parent, migration.path.name)
    with Operations.context(context):
        try:
            getattr(module, step.direction)()
            for statement in _record(step):
                context.impl.execute(statement)
        # A statement that should answer gives None here.
        except (SQLAlchemyError, CommandError, AttributeError, TypeError) as error:
            raise OperatorError(_untold(step)) from error
    return [output.getvalue().rstrip().removesuffix(";")]


def _take(connection: Connection, graph: MigrationGraph, step: Step) -> None:
    wanted = step.direction == "upgrade"
    run_migrations(
        connection, graph, lambda applied: [step] if (step.migration in applied) != wanted else [], derive=False
    )


def _asks_for_rows(line: str) -> bool:
    return line.upper().startswith(READING) and not any(name in line for name in (MARK, *CATALOGUES))


def _record(step: Step) -> list[Executable]:
    """What `record` does, when nothing of other features comes or goes."""
    migration = step.migration
    gone, come = migration.follows, (migration.revision,)
    if step.direction == "downgrade":
        gone, come = come, gone
    return [
        CreateTable(VERSION_TABLE, if_not_exists=True),
        *(delete(VERSION_TABLE).where(VERSION_TABLE.c.version_num == revision) for revision in gone),
        *(insert(VERSION_TABLE).values(version_num=revision) for revision in come),
    ]


def _untold(step: Step) -> str:
    return (
        f"The SQL of {step.migration} cannot be told beforehand: it depends on the rows that it finds. Read its file: "
        f"migrations/versions/{step.migration.feature}/{step.migration.path.name}"
    )
