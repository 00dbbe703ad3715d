"""Operations of migrations that are lines of code. Alembic knows none.

Its printer changes the indentation of code, so it prints a placeholder that is replaced afterwards.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from textwrap import indent

from alembic.autogenerate import renderers
from alembic.operations import ops

PLACEHOLDER = "# code "
"""Beginning of a line in place of code."""


@dataclass
class CodeOp(ops.MigrateOperation):
    """Lines of code for the file of a migration."""

    description: str
    """Line for the terminal, or empty."""
    lines: str
    imports: Sequence[str] = ()
    """Import lines, such as `import uuid`."""


class NextBatch(ops.MigrateOperation):
    """Separates steps on a table that SQLite must not run in one copy."""


@renderers.dispatch_for(CodeOp)
def _render_placeholder(_context: object, operation: CodeOp) -> str:
    return f"{PLACEHOLDER}{id(operation)}"


def insert_code(text: str, operations: Sequence[ops.MigrateOperation], imports: set[str]) -> str:
    """Replace the placeholders in rendered text by code."""
    for operation in operations:
        if isinstance(operation, CodeOp):
            imports.update(operation.imports)
            text = text.replace(f"    {PLACEHOLDER}{id(operation)}", indent(operation.lines, "    "))
    return text


def separate_code(operations: Sequence[ops.MigrateOperation]) -> Iterator[ops.MigrateOperation]:
    """Yield the operations with lines of code between the batches of a table, not within one."""
    for operation in operations:
        if not isinstance(operation, ops.ModifyTableOps):
            yield operation
            continue
        for is_code, group in groupby(operation.ops, key=lambda part: isinstance(part, CodeOp | NextBatch)):
            parts = [part for part in group if not isinstance(part, NextBatch)]
            yield from parts if is_code else [ops.ModifyTableOps(operation.table_name, parts)]
