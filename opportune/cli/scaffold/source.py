"""Edits of Python source at positions of its syntax tree. Everything else keeps its formatting and comments."""

import ast
import re
from dataclasses import dataclass

from opportune.errors import OperatorError


class UnexpectedStructure(Exception):
    """A file is written in a way that cannot be extended automatically."""


@dataclass(frozen=True)
class Span:
    """Start and end of a node, as byte offsets."""

    start: int
    end: int


class Source:
    """Text of a file and its syntax tree."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bytes = text.encode()
        self.tree = ast.parse(text)
        self._line_starts = [0, *(newline.end() for newline in re.finditer(rb"\n", self.bytes))]

    def span(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> Span:
        return Span(
            self._start(node.lineno, node.col_offset), self._start(node.end_lineno or 0, node.end_col_offset or 0)
        )

    def segment(self, node: ast.expr | ast.keyword) -> str:
        span = self.span(node)
        return self.bytes[span.start : span.end].decode()

    def replaced(self, start: int, end: int, new: str) -> "Source":
        return Source((self.bytes[:start] + new.encode() + self.bytes[end:]).decode())

    def line_end(self, offset: int) -> int:
        """Return the end of the line that contains this offset."""
        end = self.bytes.find(b"\n", offset)
        return len(self.bytes) if end < 0 else end

    def indent(self, offset: int) -> str:
        """Return the indentation of the line that contains this offset."""
        line = self.bytes[self.bytes.rfind(b"\n", 0, offset) + 1 :]
        return line[: len(line) - len(line.lstrip(b" \t"))].decode()

    def _start(self, line: int, column: int) -> int:
        return self._line_starts[line - 1] + column


def bound_names(tree: ast.Module) -> set[str]:
    """Return the names defined or imported at the top level of a module."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
    return names


def is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def with_item(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call, item: str) -> Source:
    """Append an item to a list, tuple, dict or call."""
    span, entries = source.span(display), _entries(source, display)
    if not entries:
        return source.replaced(span.end - 1, span.end - 1, f"{item}," if isinstance(display, ast.Tuple) else item)
    last = entries[-1]
    inside = source.bytes[last.end : span.end - 1]
    has_comma = inside.lstrip()[:1] == b","
    if b"\n" not in source.bytes[span.start : span.end]:
        end = last.end + inside.index(b",") + 1 if has_comma else last.end
        return source.replaced(end, end, f" {item}" if has_comma else f", {item}")
    return with_line(source, last, item)


def with_line(source: Source, previous: Span, item: str) -> Source:
    """Write an item on the line after another item."""
    if source.bytes[previous.end :].lstrip()[:1] != b",":
        source = source.replaced(previous.end, previous.end, ",")
    end = source.line_end(previous.end)
    return source.replaced(end, end, f"\n{source.indent(previous.start)}{item},")


def _entries(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call) -> list[Span]:
    match display:
        case ast.Dict(keys=keys, values=values):
            ends = [source.span(value).end for value in values]
            starts = [source.span(key or value).start for key, value in zip(keys, values, strict=True)]
            return [Span(start, end) for start, end in zip(starts, ends, strict=True)]
        case ast.Call(args=args, keywords=keywords):
            return [*map(source.span, args), *map(source.span, keywords)]
        case _:
            return [source.span(element) for element in display.elts]


def read_source(text: str, name: str) -> Source:
    """Parse the text of a file.

    Raises:
        OperatorError: the file has a syntax error.
    """
    try:
        return Source(text)
    except SyntaxError as error:
        raise OperatorError(f"{name}:{error.lineno} has a syntax error ({error.msg}). Fix it first.") from None
