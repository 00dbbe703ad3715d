"""Migrations that follow several last ones of a feature, such as those of two Git branches."""

from collections.abc import Iterator, Sequence
from itertools import chain, combinations
from pathlib import Path

from alembic.operations import ops

from opportune.db.migrations.graph import MigrationGraph
from opportune.db.migrations.migration_file import Migration
from opportune.db.migrations.naming import slug, table_of
from opportune.db.migrations.recording import record
from opportune.db.migrations.rendering import write_file
from opportune.errors import OperatorError

Subject = tuple[str, str]
"""Table and column. An empty column means the whole table."""


def choose_merge_name(graph: MigrationGraph, feature: str) -> str:
    """Return the name of the merge migration, such as `0006_merge_mine_yours`."""
    number = max(migration.number for migration in graph.migrations_of(feature)) + 1
    titles = "_".join(head.name.partition("_")[2] for head in graph.heads(feature))
    return f"{number:04}_merge_{slug(titles)}"


def refuse_conflicts(graph: MigrationGraph, feature: str) -> None:
    """Refuse branches that change the same table or column, because their order matters."""
    for head, other_head in combinations(graph.heads(feature), 2):
        changed = _find_changed_subjects(graph, head, other_head)
        other_changed = _find_changed_subjects(graph, other_head, head)
        if common := [subject for subject in other_changed if _overlaps(subject, changed)]:
            name = ".".join(filter(None, min(common)))
            raise OperatorError(
                f"{head.name} and {other_head.name} both change {name}. Put them in an order instead of merging them: "
                f"write down_revision = '{head.revision}' in {other_head.name}.py, and adapt its steps."
            )


def write_merge(graph: MigrationGraph, feature: str) -> Path:
    """Write a migration without steps that follows all last migrations of a feature."""
    path = graph.folder(feature) / f"{choose_merge_name(graph, feature)}.py"
    write_file(path, [], [], follows=tuple(head.revision for head in graph.heads(feature)))
    return path


def _find_changed_subjects(graph: MigrationGraph, head: Migration, other_head: Migration) -> Sequence[Subject]:
    """Return the tables and columns that one branch changes since the common ancestor."""
    shared = set(graph.needed_by(other_head))
    branch = [step for step in graph.needed_by(head) if step not in shared and step.feature == head.feature]
    operations = chain.from_iterable(map(record, branch))
    return [subject for operation in operations for subject in _subjects_of(operation)]


def _subjects_of(operation: ops.MigrateOperation) -> Iterator[Subject]:
    match operation:
        case ops.CreateTableOp() | ops.DropTableOp():
            yield operation.table_name, ""
        case ops.RenameTableOp(new_table_name=new):
            yield from ((operation.table_name, ""), (new, ""))
        case ops.AddColumnOp(column=column):
            yield table_of(operation), column.name
        case ops.DropColumnOp(column_name=name) | ops.AlterColumnOp(column_name=name):
            yield table_of(operation), name


def _overlaps(subject: Subject, others: Sequence[Subject]) -> bool:
    table, column = subject
    columns = [other_column for other_table, other_column in others if other_table == table]
    return bool(columns) and ("" in (column, *columns) or column in columns)
