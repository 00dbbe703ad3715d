"""Imports of a module, and the merge of two modules. ruff sorts the imports."""

import ast
from collections.abc import Iterable, Mapping
from itertools import takewhile

from opportune.cli.scaffold.source import Source, UnexpectedStructure, bound_names, is_docstring


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
    added_names = bound_names(ast.Module(definitions, [])) | missing_names
    if conflicts := added_names & bound_names(source.tree):
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
    """Return the line breaks before an added statement. Assignments follow each other without blank lines."""
    last = Source(before).tree.body[-1:]
    return "\n" if all(isinstance(node, ast.Assign) for node in (first, *last)) else "\n\n\n"


def with_imports(text: str, imports: Mapping[str, Iterable[str]]) -> str:
    """Add imports of these names, by module."""
    for module, names in sorted(imports.items()):
        text = _with_import(Source(text), module, set(names))
    return text


def _with_import(source: Source, module: str, names: set[str]) -> str:
    nodes = [n for n in source.tree.body if isinstance(n, ast.ImportFrom) and not n.level and n.module == module]
    missing_names = sorted(names - {alias.name for node in nodes for alias in node.names if not alias.asname})
    if not missing_names:
        return source.text
    if nodes:
        end = source.span(nodes[0].names[-1]).end
        return source.replaced(end, end, "".join(f", {name}" for name in missing_names)).text
    statement = f"from {module} import {', '.join(missing_names)}"
    head = [*takewhile(lambda node: is_docstring(node) or _is_import(node), source.tree.body)]
    if not head:
        return f"{statement}\n\n\n{source.text}" if source.tree.body else f"{statement}\n"
    end = source.line_end(source.span(head[-1]).end)
    line_break = "\n" if _is_import(head[-1]) else "\n\n"
    return source.replaced(end, end, f"{line_break}{statement}").text


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)
