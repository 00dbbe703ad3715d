"""All migrations of a feature as one, which a new database gets: together they have made what the models say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic.operations import ops
from sqlalchemy import MetaData

from opportune.config.project import display_path
from opportune.db.migrations.autogenerate import NewMigration, draft_migration
from opportune.db.migrations.connection import in_memory_connection
from opportune.db.migrations.graph import FRAMEWORK_MIGRATIONS, Migration, MigrationGraph
from opportune.db.migrations.python_steps import CodeOp
from opportune.db.migrations.recording import record
from opportune.db.migrations.rendering import write_file
from opportune.db.migrations.runner import plan_for, run_migrations
from opportune.errors import OperatorError

DEPENDS_ON = re.compile(r"^depends_on = .*$", re.MULTILINE)


@dataclass(frozen=True)
class Squash:
    """Migrations of a feature, and the one that takes their place."""

    migrations: Sequence[Migration]
    draft: NewMigration
    path: Path

    @property
    def last(self) -> Migration:
        return self.migrations[-1]

    @property
    def with_code(self) -> list[Migration]:
        """Those that do more than change tables: nothing of that is in the new one."""
        kinds = (CodeOp, ops.ExecuteSQLOp, ops.BulkInsertOp)
        return [each for each in self.migrations if any(isinstance(step, kinds) for step in record(each))]


def plan_squash(graph: MigrationGraph, feature: str, metadata: MetaData) -> Squash:
    """What would be written, from models that are not ahead of their migrations.

    Raises:
        OperatorError: there is nothing to squash, or it cannot be done.
    """
    migrations = graph.of(feature)
    newest = graph.newest(feature)
    if graph.folder(feature).parent == FRAMEWORK_MIGRATIONS:
        raise OperatorError(f"The migrations of {feature} are the framework's: they come with its releases.")
    if newest is None or len(migrations) < 2:
        raise OperatorError(f"{feature} has fewer than two migrations: there is nothing to squash.")
    _refuse_between(graph, migrations)
    with in_memory_connection() as connection:  # an empty one: no renames, no rows, and types as the models say them
        draft = draft_migration(connection, graph, feature, metadata)
    name = f"{newest.name[:4]}_squashed"
    return Squash(migrations, draft, graph.folder(feature) / f"{name}.py")


def write_squash(graph: MigrationGraph, squash: Squash, metadata: MetaData) -> list[Path]:
    """Write it in the place of the others, and return the files of other features that now depend on it.

    Its revision is the last one's, so a database that has them all has it.

    Raises:
        OperatorError: what it makes is not what the models ask for, or a file cannot be written; all is as it was.
    """
    old = {each.path: each.path.read_text(encoding="utf-8") for each in squash.migrations}
    others = _pointing_into(graph, squash.migrations)
    before = {path: path.read_text(encoding="utf-8") for path in others}
    try:
        for path in old:
            path.unlink()
        _write(squash)
        for path, text in before.items():
            path.write_text(_renamed(text, squash), encoding="utf-8")
        _verify(MigrationGraph(graph.features, graph.versions), squash, metadata)
    except (OSError, OperatorError) as error:
        squash.path.unlink(missing_ok=True)
        for path, text in (old | before).items():
            path.write_text(text, encoding="utf-8")
        reason = f"{display_path(squash.path)}: {error.strerror}" if isinstance(error, OSError) else str(error)
        raise OperatorError(f"Nothing was squashed: {reason}") from error
    return others


def _write(squash: Squash) -> None:
    own = {each.revision for each in squash.migrations}
    needed = sorted({revision for each in squash.migrations for revision in each.depends_on} - own)
    names = {
        "message": f"{squash.draft.feature}: squashed",
        "up_revision": squash.last.revision,
        "down_revision": None,
        "branch_labels": (squash.draft.feature,),
        "depends_on": tuple(needed) or None,
    }
    write_file(squash.path, squash.draft.upgrade, squash.draft.downgrade, **names)
    text = squash.path.read_text(encoding="utf-8")
    replaced = tuple(each.revision for each in squash.migrations[:-1])
    with_replaced = DEPENDS_ON.sub(lambda line: f"{line[0]}\nreplaces = {replaced!r}", text, count=1)
    squash.path.write_text(with_replaced, encoding="utf-8")


def _verify(graph: MigrationGraph, squash: Squash, metadata: MetaData) -> None:
    feature = squash.draft.feature
    with in_memory_connection() as connection:
        run_migrations(connection, graph, plan_for(graph, feature), derive=False)
        if left := draft_migration(connection, graph, feature, metadata).changes:
            raise OperatorError(f"with one migration, this would be left to do: {left[0].words}.")


def _refuse_between(graph: MigrationGraph, migrations: Sequence[Migration]) -> None:
    """A migration of another feature that comes after some of them and before others has no place any more."""
    for after in migrations:
        for other in graph.needed_by(after):
            if other not in migrations and set(graph.needed_by(other)) & set(migrations):
                raise OperatorError(
                    f"{other} comes between: it needs the tables of {after.feature}, and {after} needs it."
                )


def _pointing_into(graph: MigrationGraph, migrations: Sequence[Migration]) -> list[Path]:
    gone = {each.revision for each in migrations[:-1]}
    return [each.path for each in graph.ordered if each not in migrations and gone.intersection(each.depends_on)]


def _renamed(text: str, squash: Squash) -> str:
    for each in squash.migrations[:-1]:
        text = re.sub(rf"\b{re.escape(each.revision)}\b", squash.last.revision, text)
    return text
