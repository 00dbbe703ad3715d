"""Sorted imports, and the merge of two modules."""

import ast
import sys
from collections.abc import Iterable, Mapping

from opportune.cli.scaffold.line_wrapping import MAX_LINE_LENGTH
from opportune.cli.scaffold.source import Source, UnexpectedStructure, bound_names, is_docstring
from opportune.project.layout import PACKAGE

FIRST_PARTY = {PACKAGE, "app", "bench", "opportune", "tests"}


def merge_modules(text: str, addition: str) -> str:
    """Add the imports and definitions of another module to a module.

    Raises:
        UnexpectedStructure: the module already uses one of the names for something else.
    """
    if not text:
        return addition
    source, new = Source(text), Source(addition)
    definitions = [node for node in new.tree.body if not isinstance(node, ast.ImportFrom) and not is_docstring(node)]
    imports, existing = _imported(new.tree), _imported(source.tree)
    missing_names = {name for module, names in imports.items() for name in names - existing.get(module, set())}
    if conflicts := ((bound_names(ast.Module(definitions, [])) | missing_names) & bound_names(source.tree)):
        raise UnexpectedStructure(f"already has a {min(conflicts)}")
    code = new.bytes[new.span(definitions[0]).start :].decode().strip()
    before = with_imports(text, imports).rstrip()
    return f"{before}{_blank_lines(before, definitions[0])}{code}\n"


def _imported(tree: ast.Module) -> dict[str, set[str]]:
    """Return the names imported without an alias, by module."""
    imports: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            imports.setdefault(node.module or "", set()).update(alias.name for alias in node.names if not alias.asname)
    return imports


def _blank_lines(before: str, first: ast.stmt) -> str:
    """Return the blank lines that ruff puts before an added statement."""
    if not before:
        return ""
    last = Source(before).tree.body[-1]
    if not isinstance(first, ast.Assign) or isinstance(last, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return "\n\n\n"
    return "\n" if isinstance(last, ast.Assign) else "\n\n"


def with_imports(text: str, imports: Mapping[str, Iterable[str]]) -> str:
    """Add imports of these names, by module, in sorted order."""
    for module, names in sorted(imports.items()):
        text = _with_import(Source(text), module, set(names))
    return text


def _with_import(source: Source, module: str, names: set[str]) -> str:
    nodes = [n for n in source.tree.body if isinstance(n, ast.ImportFrom) and not n.level and n.module == module]
    missing_names = names - {alias.name for node in nodes for alias in node.names if not alias.asname}
    if not missing_names:
        return source.text
    return _with_names(source, nodes[0], missing_names) if nodes else _new_import(source, module, missing_names)


def _with_names(source: Source, node: ast.ImportFrom, names: set[str]) -> str:
    span = source.span(node)
    if b"\n" not in source.bytes[span.start : span.end]:
        existing = {alias.name if not alias.asname else f"{alias.name} as {alias.asname}" for alias in node.names}
        return source.replaced(span.start, span.end, import_statement(node.module or "", existing | names)).text
    lines = {alias.lineno: alias.name for alias in node.names}
    if len(lines) < len(node.names):
        raise UnexpectedStructure(f"imports several names of {node.module} on one line of a longer import")
    for name in sorted(names, key=_import_sort_key, reverse=True):
        earlier_lines = [line for line, other in lines.items() if _import_sort_key(other) < _import_sort_key(name)]
        offset = source.line_start(max(earlier_lines) + 1 if earlier_lines else min(lines))
        source = source.replaced(offset, offset, f"    {name},\n")
    return source.text


def import_statement(module: str, names: Iterable[str]) -> str:
    ordered = sorted(names, key=_import_sort_key)
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= MAX_LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in ordered), ")"])


def _import_sort_key(name: str) -> tuple[int, str]:
    """Sort key of imported names, as in ruff: constants, classes, others."""
    name = name.partition(" ")[0]
    group = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return group, name.lower()


def _new_import(source: Source, module: str, names: set[str]) -> str:
    statement, section = import_statement(module, names), _section(module)
    imports = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    section_imports = [node for node in imports if _section(_module_of(node)) == section]
    for node in section_imports:
        if isinstance(node, ast.ImportFrom) and _module_of(node).lower() > module.lower():
            return _before(source, node, f"{statement}\n")
    if section_imports:
        return _after(source, section_imports[-1], f"\n{statement}")
    for node in imports:
        if _section(_module_of(node)) > section:
            return _before(source, node, f"{statement}\n\n")
    if imports:
        return _after(source, imports[-1], f"\n\n{statement}")
    if source.tree.body and is_docstring(source.tree.body[0]):
        return _after(source, source.tree.body[0], f"\n\n{statement}")
    return f"{statement}\n" + (f"\n\n{source.text}" if source.tree.body else source.text)


def _before(source: Source, node: ast.stmt, text: str) -> str:
    offset = source.span(node).start
    return source.replaced(offset, offset, text).text


def _after(source: Source, node: ast.stmt, text: str) -> str:
    offset = source.line_end(source.span(node).end)
    return source.replaced(offset, offset, text).text


def _module_of(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return node.module or ""
    return node.names[0].name if isinstance(node, ast.Import) else ""


def _section(module: str) -> int:
    root = module.partition(".")[0]
    return 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 3 if root in FIRST_PARTY else 2
