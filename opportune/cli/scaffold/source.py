"""Changes of Python's text by the places of its syntax tree: what is not touched stays as it was written."""

import ast
import re
from dataclasses import dataclass

from opportune.errors import OperatorError

MAX_LINE_LENGTH = 120


class NotAsExpected(Exception):
    """A file that is not written as what is to be added needs it."""


@dataclass(frozen=True)
class Place:
    """From where to where something stands, in bytes, as the tree counts."""

    start: int
    end: int


class Source:
    """A file's text, and where its parts are."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.bytes = text.encode()
        self.tree = ast.parse(text)
        self._lines = [0, *(found.end() for found in re.finditer(rb"\n", self.bytes))]

    def place(self, node: ast.expr | ast.stmt | ast.keyword | ast.alias) -> Place:
        return Place(self._at(node.lineno, node.col_offset), self._at(node.end_lineno or 0, node.end_col_offset or 0))

    def segment(self, node: ast.expr | ast.keyword) -> str:
        place = self.place(node)
        return self.bytes[place.start : place.end].decode()

    def replaced(self, start: int, end: int, new: str) -> "Source":
        return Source((self.bytes[:start] + new.encode() + self.bytes[end:]).decode())

    def line_end(self, offset: int) -> int:
        """Return the end of the line of this byte."""
        end = self.bytes.find(b"\n", offset)
        return len(self.bytes) if end < 0 else end

    def indent(self, offset: int) -> str:
        """Return the indentation of the line of this byte."""
        start = self.bytes.rfind(b"\n", 0, offset) + 1
        found = re.match(rb"[ \t]*", self.bytes[start:])
        return found[0].decode() if found else ""

    def line_start(self, line: int) -> int:
        return self._lines[line - 1]

    def _at(self, line: int, column: int) -> int:
        return self._lines[line - 1] + column


def bound_names(tree: ast.Module) -> set[str]:
    """Return the names that a module defines at its top level."""
    names: set[str] = set()
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
                names |= {(alias.asname or alias.name).partition(".")[0] for alias in aliases}
    return names


def is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def with_item(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call, item: str) -> Source:
    """A list, a mapping or a call with one entry more at its end."""
    place, entries = source.place(display), _entries(source, display)
    inside = source.bytes[entries[-1].end if entries else place.start : place.end - 1]
    if not entries:
        return source.replaced(place.end - 1, place.end - 1, item)
    last, has_comma = entries[-1], inside.lstrip()[:1] == b","
    if b"\n" not in source.bytes[place.start : place.end]:
        comma = last.end + inside.index(b",") + 1 if has_comma else last.end
        changed = source.replaced(comma, comma, f" {item}" if has_comma else f", {item}")
        return exploded_if_long(changed, place.start)
    if not has_comma:
        source = source.replaced(last.end, last.end, ",")
    end = source.line_end(last.end)
    return source.replaced(end, end, f"\n{source.indent(last.start)}{item},")


def _entries(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call) -> list[Place]:
    match display:
        case ast.Dict(keys=keys, values=values):
            ends = [source.place(value).end for value in values]
            starts = [source.place(key or value).start for key, value in zip(keys, values, strict=True)]
            return [Place(start, end) for start, end in zip(starts, ends, strict=True)]
        case ast.Call(args=args, keywords=keywords):
            return [*map(source.place, args), *map(source.place, keywords)]
        case _:
            return [source.place(each) for each in display.elts]


def exploded_if_long(source: Source, start: int) -> Source:
    """With an entry on each line, if the line is too long: of the outermost brackets that begin on it."""
    line_start = source.bytes.rfind(b"\n", 0, start) + 1
    if len(source.bytes[line_start : source.line_end(start)].decode()) <= MAX_LINE_LENGTH:
        return source
    found = [
        (source.place(node).start, node)
        for node in ast.walk(source.tree)
        if isinstance(node, ast.List | ast.Tuple | ast.Dict | ast.Call) and source.place(node).start >= line_start
    ]
    return exploded(source, min(found, key=lambda each: each[0])[1])


def exploded(source: Source, display: ast.List | ast.Tuple | ast.Dict | ast.Call) -> Source:
    """The same with an entry on each line."""
    place, entries = source.place(display), _entries(source, display)
    indent = source.indent(place.start)
    lines = [f"{indent}    {source.bytes[each.start : each.end].decode()},\n" for each in entries]
    opening = entries[0].start
    return source.replaced(opening, place.end - 1, "\n" + "".join(lines) + indent)


def read_source(text: str, shown: str) -> Source:
    """Raise OperatorError for what Python cannot read."""
    try:
        return Source(text)
    except SyntaxError as error:
        raise OperatorError(f"{shown}:{error.lineno} cannot be read ({error.msg}): mend it first.") from None
