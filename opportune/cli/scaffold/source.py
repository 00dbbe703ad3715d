"""Edits of Python source at positions of its syntax tree. Everything else keeps its formatting and comments.

ruff sorts the imports that are added.
"""

import ast
import re
from collections.abc import Iterable, Mapping
from itertools import takewhile
from typing import NamedTuple

from opportune.errors import OperatorError


class UnexpectedStructure(Exception):
    """A file is written in a way that cannot be extended automatically."""


class Span(NamedTuple):
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
        end = self.bytes.find(b"\n", offset)
        return len(self.bytes) if end < 0 else end

    def indent(self, offset: int) -> str:
        """Return the indentation of the line that contains this offset."""
        line = self.bytes[self.bytes.rfind(b"\n", 0, offset) + 1 :]
        return line[: len(line) - len(line.lstrip(b" \t"))].decode()

    def _start(self, line: int, column: int) -> int:
        return self._line_starts[line - 1] + column


def read_source(text: str, name: str) -> Source:
    try:
        return Source(text)
    except SyntaxError as error:
        raise OperatorError(f"{name}:{error.lineno} has a syntax error ({error.msg}). Fix it first.") from None


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


def with_item(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call, item: str) -> Source:
    """Append an item to a list, tuple, dict or call."""
    span = source.span(display)
    entries = _entries(source, display)
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
    """Write an item on the line after another item, or directly after it if more code is on its line."""
    rest = source.bytes[previous.end : source.line_end(previous.end)].lstrip(b", \t")
    if rest and not rest.startswith(b"#"):
        return source.replaced(previous.end, previous.end, f", {item}")
    if source.bytes[previous.end :].lstrip()[:1] != b",":
        source = source.replaced(previous.end, previous.end, ",")
    end = source.line_end(previous.end)
    return source.replaced(end, end, f"\n{source.indent(previous.start)}{item},")


def merge_modules(text: str, addition: str) -> str:
    """Add the imports and definitions of another module to a module.

    `from m import a` and `A = a()` become, with `from m import b` and `B = b()`: `from m import a, b`, `A = a()` and
    `B = b()`. Comments and decorators stay with their definitions.

    Raises:
        UnexpectedStructure: The module already uses one of the names for something else.
    """
    if not text:
        return addition
    source = Source(text)
    new = Source(addition)
    definitions = [node for node in new.tree.body if not isinstance(node, ast.ImportFrom) and not _is_docstring(node)]
    imports = _imported(new.tree)
    existing = _imported(source.tree)
    new_imports = {name for module, names in imports.items() for name in names - existing.get(module, set())}
    added_names = bound_names(ast.Module(definitions, [])) | new_imports
    if conflicts := added_names & bound_names(source.tree):
        raise UnexpectedStructure(f"already has a {min(conflicts)}")
    head = [*takewhile(lambda node: node not in definitions, new.tree.body)]
    code = new.bytes[new.line_end(new.span(head[-1]).end) if head else 0 :].decode().strip()
    before = with_imports(text, imports).rstrip()
    neighbours = (*Source(before).tree.body[-1:], definitions[0])
    blank_lines = "\n" if all(isinstance(node, ast.Assign) for node in neighbours) else "\n\n\n"
    return f"{before}{blank_lines}{code}\n"


def with_imports(text: str, imports: Mapping[str, Iterable[str]]) -> str:
    """Add imports of these names, by module."""
    for module, names in sorted(imports.items()):
        text = _with_import(Source(text), module, set(names))
    return text


def _with_import(source: Source, module: str, names: set[str]) -> str:
    existing = _imported(source.tree).get(module, set())
    missing_names = sorted(names - existing)
    if not missing_names or "*" in existing:
        return source.text
    for node in source.tree.body:
        if isinstance(node, ast.ImportFrom) and node.module == module and not node.level:
            end = source.span(node.names[-1]).end
            return source.replaced(end, end, "".join(f", {name}" for name in missing_names)).text
    statement = f"from {module} import {', '.join(missing_names)}"
    head = [*takewhile(lambda node: _is_docstring(node) or _is_import(node), source.tree.body)]
    if not head:
        return f"{statement}\n\n\n{source.text}" if source.tree.body else f"{statement}\n"
    end = source.line_end(source.span(head[-1]).end)
    line_break = "\n" if _is_import(head[-1]) else "\n\n"
    return source.replaced(end, end, f"{line_break}{statement}").text


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


def _imported(tree: ast.Module) -> dict[str, set[str]]:
    """Return the names imported without an alias, by module."""
    imports: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and not node.level:
            imports.setdefault(node.module or "", set()).update(alias.name for alias in node.names if not alias.asname)
    return imports


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)
