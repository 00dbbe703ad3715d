"""Edits of Python source at positions of its syntax tree. Everything else keeps its formatting and comments."""

import ast
import re
from dataclasses import dataclass

from opportune.cli.scaffold.line_wrapping import MAX_LINE_LENGTH, split_items
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

    def line_start(self, line: int) -> int:
        return self._line_starts[line - 1]

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
    inside = source.bytes[entries[-1].end if entries else span.start : span.end - 1]
    if not entries:
        return source.replaced(span.end - 1, span.end - 1, item)
    last, has_comma = entries[-1], inside.lstrip()[:1] == b","
    if b"\n" not in source.bytes[span.start : span.end]:
        comma = last.end + inside.index(b",") + 1 if has_comma else last.end
        new_source = source.replaced(comma, comma, f" {item}" if has_comma else f", {item}")
        return wrapped_if_long(new_source, span.start)
    if not has_comma:
        source = source.replaced(last.end, last.end, ",")
    end = source.line_end(last.end)
    indent = source.indent(last.start)
    return source.replaced(end, end, "".join(f"\n{indent}{part}," for part in split_items(item)))


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


def wrapped_if_long(source: Source, start: int) -> Source:
    """Write one entry per line if the line is too long, for the outermost brackets whose entries begin on it."""
    line_start, line_end = source.bytes.rfind(b"\n", 0, start) + 1, source.line_end(start)
    if len(source.bytes[line_start:line_end].decode()) <= MAX_LINE_LENGTH:
        return source
    nodes = [node for node in ast.walk(source.tree) if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Call)]
    outer = [node for node in nodes if _has_entries_between(source, node, line_start, line_end)]
    inner = [node for node in nodes if source.span(node).start >= line_start]
    return one_entry_per_line(source, min(outer or inner, key=lambda node: source.span(node).start))


def _has_entries_between(
    source: Source, node: ast.List | ast.Tuple | ast.Dict | ast.Call, start: int, end: int
) -> bool:
    """Return True if the brackets open before this line, and several entries begin on it."""
    entries = _entries(source, node)
    return len(entries) > 1 and source.span(node).start < start <= entries[0].start and entries[-1].start < end


def one_entry_per_line(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call) -> Source:
    """Write one entry per line."""
    span, entries = source.span(display), _entries(source, display)
    indent = source.indent(span.start)
    lines = [f"{indent}    {source.bytes[entry.start : entry.end].decode()},\n" for entry in entries]
    opening = len(source.bytes[: entries[0].start].rstrip())
    return source.replaced(opening, span.end - 1, "\n" + "".join(lines) + indent)


def read_source(text: str, name: str) -> Source:
    """Parse the text of a file.

    Raises:
        OperatorError: the file has a syntax error.
    """
    try:
        return Source(text)
    except SyntaxError as error:
        raise OperatorError(f"{name}:{error.lineno} has a syntax error ({error.msg}). Fix it first.") from None
