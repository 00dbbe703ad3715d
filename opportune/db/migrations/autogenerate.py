"""Writing migrations: what the models ask for, compared with what the migrations so far have made."""

import secrets
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from alembic.autogenerate import produce_migrations
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, MetaData

from opportune.db.migrations.checks import portable
from opportune.db.migrations.connection import connect, migration_url, scratch
from opportune.db.migrations.expressions import differences, unmentioned
from opportune.db.migrations.filling import Filling
from opportune.db.migrations.graph import Tree
from opportune.db.migrations.history import recorded
from opportune.db.migrations.members import Members
from opportune.db.migrations.naming import Change, describe, flat, name_for, slug
from opportune.db.migrations.options import OPTIONS
from opportune.db.migrations.python_steps import CodeOp
from opportune.db.migrations.questions import Answers, Rename
from opportune.db.migrations.renaming import apply, as_operation, dropped, possible, tables_pointing_at, undone
from opportune.db.migrations.rendering import write_file
from opportune.db.migrations.runner import plan_for, refuse_newer, run
from opportune.errors import OperatorError
from opportune.project import shown
from opportune.settings import Settings

Operations = list[ops.MigrateOperation]


@dataclass(frozen=True)
class Draft:
    """A migration that is not written yet."""

    feature: str
    name: str
    """Such as `0002_todo_due_on`."""
    upgrade: Sequence[ops.MigrateOperation]
    downgrade: Sequence[ops.MigrateOperation]
    changes: Sequence[Change]
    pointing: Collection[str] = ()
    """Tables, of other features too, that point at what is renamed."""


@contextmanager
def up_to_date(settings: Settings, tree: Tree) -> Iterator[Connection]:
    """A database that has every migration, to compare the models with.

    With SQLite that is an empty one in memory, so the state of the user's own does not matter. PostgreSQL's types can
    only be compared on PostgreSQL: there it is the configured database.

    Raises:
        OperatorError: the configured database lacks migrations.
    """
    if migration_url(settings).kind != "postgresql":
        with scratch() as connection:
            run(connection, tree, plan_for(tree))
            yield connection
        return
    with connect(settings) as connection:
        rows = recorded(connection)
        refuse_newer(tree, rows)
        if pending := tree.pending(rows):
            names = ", ".join(map(str, pending))
            raise OperatorError(f"The database, with which models are compared, lacks {names}: run `migrate` first.")
        yield connection


def draft(
    connection: Connection,
    tree: Tree,
    feature: str,
    metadata: MetaData,
    words: str | None = None,
    answers: Answers | None = None,
) -> Draft:
    """What the models of a feature ask for beyond its migrations; its `changes` are empty when that is nothing.

    Raises:
        OperatorError: something would be dropped, or a new column leaves existing rows without a value, and nobody has
            said that this is meant.
    """
    answers = answers or Answers()
    renames: list[Rename] = []
    pointing: set[str] = set()
    while True:
        context = MigrationContext.configure(connection, opts=_options(tree, feature))
        upgrade, downgrade = _compared(context, tree, feature, metadata)
        candidates = possible(context, upgrade, feature)
        rename = answers.choose(candidates)
        if rename is None:
            break
        pointing |= tables_pointing_at(connection, rename)
        apply(connection, rename)  # then what is left of the difference is what the new name is not the reason for
        renames.append(rename)
    answers.refuse_drops(dropped(upgrade), candidates)
    members = Members(feature, metadata, answers)
    steps = Filling(feature, metadata, answers).applied(members.upgrade(upgrade))
    whole = [*map(as_operation, renames), *steps]
    back = [*members.downgrade(downgrade), *(as_operation(undone(rename)) for rename in reversed(renames))]
    told = [*map(as_operation, renames), *upgrade, *(step for step in steps if isinstance(step, CodeOp))]
    changes = describe(told, feature)
    return Draft(feature, _name(tree, feature, changes, words), whole, back, changes, pointing)


def _compared(context: MigrationContext, tree: Tree, feature: str, metadata: MetaData) -> tuple[Operations, Operations]:
    """What makes the database what the models ask for, and what undoes it."""
    with unmentioned():
        script = produce_migrations(context, metadata)
    tables = [table for table in metadata.sorted_tables if owner(table.name, tree.features) == feature]
    connection = context.connection
    more, less = differences(connection, tables) if connection else ([], [])
    upgrade = [*(script.upgrade_ops.ops if script.upgrade_ops else ()), *more]
    downgrade = [*less, *(script.downgrade_ops.ops if script.downgrade_ops else ())]
    portable([*upgrade, *downgrade])
    return upgrade, downgrade


def refuse_strays(features: Sequence[str], metadata: MetaData) -> None:
    """Stop before tables are overlooked.

    Raises:
        OperatorError: a model's table is not named after an installed feature.
    """
    if strays := [name for name in metadata.tables if owner(name, features) is None]:
        raise OperatorError(
            f"No feature owns the table '{strays[0]}': let its __tablename__ begin with the name of an installed one, "
            f"as in '{features[-1]}_{strays[0]}'."
        )


def empty(tree: Tree, feature: str, words: str | None = None) -> Draft:
    """A migration without operations, to be filled by hand."""
    return Draft(feature, _name(tree, feature, [], words), [], [], [])


def write(tree: Tree, draft: Draft) -> Path:
    """Write a draft as the newest migration of its feature.

    Raises:
        OperatorError: it points at a feature that has no migrations, or its folder cannot be written.
    """
    newest = tree.newest(draft.feature)
    path = tree.folder(draft.feature) / f"{draft.name}.py"
    names = {
        "message": f"{draft.feature}: {draft.name[5:].replace('_', ' ')}",
        "up_revision": f"{draft.feature}_{draft.name[:4]}_{secrets.token_hex(2)}",
        "down_revision": newest.revision if newest else None,
        "branch_labels": None if newest else (draft.feature,),
        "depends_on": _dependencies(tree, draft),
    }
    try:
        write_file(path, draft.upgrade, draft.downgrade, **names)
    except OSError as error:
        raise OperatorError(f"{shown(path)} cannot be written: {error.strerror}.") from error
    return path


def owner(table: str, features: Sequence[str]) -> str | None:
    """The feature that a table belongs to: the longest whose name it begins with."""
    return max((name for name in features if table.startswith(f"{name}_")), key=len, default=None)


def _options(tree: Tree, feature: str) -> dict[str, object]:
    def names(name: str | None, kind: str, _parents: object) -> bool:
        return kind != "table" or owner(name or "", tree.features) == feature

    def objects(_item: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
        return names(name, kind, None)

    return {**OPTIONS, "include_name": names, "include_object": objects}


def _name(tree: Tree, feature: str, changes: Sequence[Change], words: str | None) -> str:
    migrations = tree.of(feature)
    number = max((migration.number for migration in migrations), default=0) + 1
    return f"{number:04}_{slug(words or '') or name_for(changes, first=not migrations)}"


def _dependencies(tree: Tree, draft: Draft) -> tuple[str, ...] | None:
    """The newest migrations of other features whose tables the draft points at, or that point at what it renames."""
    newest = tree.newest(draft.feature)
    known = tree.needed_by(newest) if newest else []
    found: set[str] = set()
    for table in {*_tables_pointed_at(draft.upgrade), *draft.pointing}:
        other = owner(table, tree.features)
        if other in (None, draft.feature):
            continue
        needed = tree.newest(other)
        if needed is None:
            raise OperatorError(f"{draft.feature} points at {table}: run `makemigrations {other}` first.")
        if needed not in known:
            found.add(needed.revision)
    return tuple(sorted(found)) or None


def _tables_pointed_at(operations: Sequence[ops.MigrateOperation]) -> set[str]:
    tables: set[str] = set()
    for operation in flat(operations):
        match operation:
            case ops.CreateTableOp():
                tables |= {key.target_fullname.split(".")[0] for key in operation.to_table().foreign_keys}
            case ops.CreateForeignKeyOp(referent_table=table):
                tables.add(table)
    return tables
