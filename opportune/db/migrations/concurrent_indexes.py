"""Indexes of tables that have rows, built on PostgreSQL while others write: in a migration of their own, which is no
transaction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from textwrap import indent

from alembic.operations import ops

from opportune.db.migrations.autogenerate import NewMigration
from opportune.db.migrations.naming import describe, flatten, slug
from opportune.db.migrations.python_steps import CodeOp
from opportune.db.migrations.rendering import code_of

WHY = """\
# On PostgreSQL others write meanwhile, so this is in no transaction: what a try that failed has left goes first.
"""


def split_indexes(draft: NewMigration, words: str | None = None) -> Iterator[NewMigration]:
    """The draft without such indexes, if anything is left of it, and one with them. Unique ones stay where they are."""
    found = flatten(draft.upgrade)
    new = {each.table_name for each in found if isinstance(each, ops.CreateTableOp)}
    changed = {each.index_name for each in found if isinstance(each, ops.DropIndexOp)}
    indexes = [
        each
        for each in found
        if isinstance(each, ops.CreateIndexOp)
        and not (each.unique or each.table_name in new or each.index_name in changed)
    ]
    if not indexes:
        yield draft
        return
    names = {each.index_name for each in indexes}
    rest = list(_without(draft.upgrade, names))
    shown = {str(change) for change in describe(indexes, draft.feature)}
    name = draft.name
    if rest:
        yield replace(
            draft,
            upgrade=rest,
            downgrade=list(_without(draft.downgrade, names)),
            changes=[change for change in draft.changes if str(change) not in shown],
        )
        name = f"{int(draft.name[:4]) + 1:04}_{_words(draft.feature, indexes, words)}"
    drops: Sequence[ops.MigrateOperation] = [each.reverse() for each in reversed(indexes)]
    build = _concurrently(indexes)
    yield NewMigration(draft.feature, name, [build], drops, describe(indexes, draft.feature))


def _words(feature: str, indexes: Sequence[ops.CreateIndexOp], words: str | None) -> str:
    if words:
        return f"{slug(words)}_indexes"
    first = f"{(indexes[0].index_name or '').removeprefix(f'ix_{feature}_')}_index"
    return slug(first) + ("_and_more" if len(indexes) > 1 else "")


def _without(operations: Sequence[ops.MigrateOperation], names: set[str | None]) -> Iterator[ops.MigrateOperation]:
    for operation in operations:
        if isinstance(operation, ops.ModifyTableOps):
            if kept := list(_without(operation.ops, names)):
                yield ops.ModifyTableOps(operation.table_name, kept)
        elif getattr(operation, "index_name", None) not in names:
            yield operation


def _concurrently(indexes: Sequence[ops.CreateIndexOp]) -> CodeOp:
    lines = ""
    for index in indexes:
        index.kw["postgresql_concurrently"] = True
        lines += (
            f"op.drop_index({index.index_name!r}, table_name={index.table_name!r}, if_exists=True, "
            "postgresql_concurrently=True)\n"
        )
        lines += f"{code_of([index])}\n"
    return CodeOp("", f"{WHY}with op.get_context().autocommit_block():\n{indent(lines, '    ')}".rstrip())
