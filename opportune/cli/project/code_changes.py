"""Changes of names in a Python file: what they replace, and where."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from opportune.cli.scaffold.source import Source, Span

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Change:
    """A name to change: `new` is the whole code between the positions, or None if the file cannot be changed safely."""

    line: int
    description: str
    span: Span
    new: str | None = None
    imports: frozenset[str] = frozenset()
    """Families of arguments to import."""


def rename(source: Source, node: ast.expr | Function, old: str, new: str, *, is_safe: bool = True) -> Change:
    """Return the change of a name, of an attribute after the dot, or of a method after `def`."""
    span, length = source.span(node), len(old.encode())
    is_method = isinstance(node, Function)
    end = source.bytes.index(old.encode(), span.start + len("def ")) + length if is_method else span.end
    span = Span(end - length, end)
    return Change(node.lineno, f"{old} -> {new}", span, new if is_safe else None)


def change_constants(source: Source, nodes: Iterable[ast.AST], names: Mapping[str, str]) -> Iterator[Change]:
    """Change the texts among some nodes that are old names."""
    for node in nodes:
        if isinstance(node, ast.Constant) and (new := names.get(str(node.value))):
            quote = source.segment(node)[0]
            code = f"{quote}{new}{quote}" if quote in "\"'" else None
            yield Change(node.lineno, f"{node.value!r} -> {new!r}", source.span(node), code)
