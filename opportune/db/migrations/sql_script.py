"""SQL of a migration, as a script for the database's client."""

import io
from collections.abc import Sequence
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
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.plans import Step
from opportune.db.migrations.runner import run_migrations
from opportune.errors import OperatorError

# On SQLite, foreign keys are off so that copying a table does not cascade.
BEGIN = {"sqlite": ["PRAGMA foreign_keys = OFF", "BEGIN IMMEDIATE"], "postgresql": ["BEGIN"]}
WRITE_KEYWORDS = ("ALTER", "CREATE", "DELETE", "DROP", "INSERT", "PRAGMA LEGACY", "REPLACE", "UPDATE")
READ_KEYWORDS = ("SELECT", "VALUES", "WITH")
# Tables of the schema: reading them does not depend on rows.
CATALOGUES = ("sqlite_master", "sqlite_schema", "sqlite_temp_master", "pragma_", VERSION_TABLE.name)


def render_migration_sql(graph: MigrationGraph, step: Step, dialect_name: str) -> str:
    """Return the statements of a migration, and those that record it, in one transaction."""
    lines = _postgresql_statements(step) if dialect_name == "postgresql" else _sqlite_statements(graph, step)
    begin = BEGIN["postgresql" if dialect_name == "postgresql" else "sqlite"]
    return "".join(f"{line.strip()};\n" for line in [*begin, *lines, "COMMIT"])


def _sqlite_statements(graph: MigrationGraph, step: Step) -> list[str]:
    """Return the statements that run on an empty database with the previous migrations."""
    previous = _previous_migrations(graph, step.migration)
    with in_memory_connection() as connection:
        applied = previous if step.direction == "upgrade" else [*previous, step.migration]
        _run_steps(connection, graph, [Step(migration, "upgrade") for migration in applied])
        executed: list[str] = []
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(lambda line: executed.append(line.strip()))  # receives statements with their values
        _run_steps(connection, graph, [step])
        driver.set_trace_callback(None)
    if any(map(_reads_rows, executed)):
        raise OperatorError(_row_dependence_message(step))
    lines = [line for line in executed if line.upper().startswith(WRITE_KEYWORDS)]
    return [
        line.replace(f"CREATE TABLE {VERSION_TABLE.name}", f"CREATE TABLE IF NOT EXISTS {VERSION_TABLE.name}")
        for line in lines
    ]


def _previous_migrations(graph: MigrationGraph, migration: Migration) -> list[Migration]:
    """Return the migrations before this one of all features that it depends on.

    Later migrations of these features may have changed a table that this one copies.
    """
    features = {ancestor.feature for ancestor in graph.needed_by(migration)}
    before = graph.ordered[: graph.ordered.index(migration)]
    related = [other for other in before if other.feature in features]
    needed = {ancestor for other in related for ancestor in graph.needed_by(other)}
    return [other for other in before if other in needed]


def _postgresql_statements(step: Step) -> list[str]:
    output = io.StringIO()
    # Other parameter styles would double percent signs.
    dialect = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # SQLAlchemy's own
    options = {**OPTIONS, "as_sql": True, "literal_binds": True, "output_buffer": output}
    context = MigrationContext.configure(dialect=dialect, opts=options)
    migration = step.migration
    module: Any = load_python_file(migration.path.parent, migration.path.name)
    with Operations.context(context):
        try:
            getattr(module, step.direction)()
            for statement in _version_statements(step):
                context.impl.execute(statement)
        # A query returns None here, which raises one of these in the migration.
        except (SQLAlchemyError, CommandError, AttributeError, TypeError) as error:
            raise OperatorError(_row_dependence_message(step)) from error
    return [output.getvalue().rstrip().removesuffix(";")]


def _run_steps(connection: Connection, graph: MigrationGraph, steps: Sequence[Step]) -> None:
    def plan(applied: Sequence[Migration]) -> list[Step]:
        return [step for step in steps if (step.migration in applied) != (step.direction == "upgrade")]

    run_migrations(connection, graph, plan, derive=False)


def _reads_rows(line: str) -> bool:
    return line.upper().startswith(READ_KEYWORDS) and not any(name in line for name in (MARK, *CATALOGUES))


def _version_statements(step: Step) -> list[Executable]:
    """Return the statements that record the migration in the version table."""
    migration = step.migration
    removed = migration.follows
    added = (migration.revision,)
    if step.direction == "downgrade":
        removed, added = added, removed
    return [
        CreateTable(VERSION_TABLE, if_not_exists=True),
        *(delete(VERSION_TABLE).where(VERSION_TABLE.c.version_num == revision) for revision in removed),
        *(insert(VERSION_TABLE).values(version_num=revision) for revision in added),
    ]


def _row_dependence_message(step: Step) -> str:
    return (
        f"The SQL of {step.migration} is not known in advance, because it depends on rows. See its file: "
        f"migrations/versions/{step.migration.feature}/{step.migration.path.name}"
    )
