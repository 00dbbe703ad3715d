"""Concurrent creation of indexes on PostgreSQL, in a separate migration outside a transaction."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import indent

from alembic.operations import ops

from opportune.db.migrations.naming import describe, flatten, slug
from opportune.db.migrations.new_migration import NewMigration
from opportune.db.migrations.rendering import CodeOp, render_code

EXPLANATION = """\
# Built concurrently, outside a transaction. A failed attempt leaves an invalid index, so drop it first.
"""


def split_indexes(draft: NewMigration, title: str | None = None) -> Iterator[NewMigration]:
    """Split a draft in two: the draft without new indexes of existing tables, and a migration that creates them.

    Unique indexes stay in the draft. A draft that would be empty is omitted.
    """
    steps = flatten(draft.upgrade)
    created_tables = {step.table_name for step in steps if isinstance(step, ops.CreateTableOp)}
    replaced_indexes = {step.index_name for step in steps if isinstance(step, ops.DropIndexOp)}
    indexes = [
        step
        for step in steps
        if isinstance(step, ops.CreateIndexOp)
        and not (step.unique or step.table_name in created_tables or step.index_name in replaced_indexes)
    ]
    if not indexes:
        yield draft
        return
    names = {index.index_name for index in indexes}
    remaining_steps = list(_without_indexes(draft.upgrade, names))
    moved_changes = {str(change) for change in describe(indexes, draft.feature)}
    name = draft.name
    if remaining_steps:
        yield replace(
            draft,
            upgrade=remaining_steps,
            downgrade=list(_without_indexes(draft.downgrade, names)),
            changes=[change for change in draft.changes if str(change) not in moved_changes],
        )
        name = f"{int(draft.name[:4]) + 1:04}_{_make_title(draft.feature, indexes, title)}"
    drops: Sequence[ops.MigrateOperation] = [index.reverse() for index in reversed(indexes)]
    build = _build_concurrently(indexes)
    yield NewMigration(draft.feature, name, [build], drops, describe(indexes, draft.feature))


def _make_title(feature: str, indexes: Sequence[ops.CreateIndexOp], title: str | None) -> str:
    if title:
        return f"{slug(title)}_indexes"
    short_name = str(indexes[0].index_name).removeprefix(f"ix_{feature}_")
    suffix = "_and_more" if len(indexes) > 1 else ""
    return f"{slug(f'{short_name}_index')}{suffix}"


def _without_indexes(
    operations: Sequence[ops.MigrateOperation], names: set[str | None]
) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            if remaining := list(_without_indexes(operation.ops, names)):
                yield ops.ModifyTableOps(operation.table_name, remaining)
        elif getattr(operation, "index_name", None) not in names:
            yield operation


def _build_concurrently(indexes: Sequence[ops.CreateIndexOp]) -> CodeOp:
    lines: list[str] = []
    for index in indexes:
        index.kw["postgresql_concurrently"] = True
        options = f"table_name={index.table_name!r}, if_exists=True, postgresql_concurrently=True"
        lines += [f"op.drop_index({index.index_name!r}, {options})", render_code([index])]
    block = indent("\n".join(lines), "    ")
    return CodeOp("", f"{EXPLANATION}with op.get_context().autocommit_block():\n{block}")
