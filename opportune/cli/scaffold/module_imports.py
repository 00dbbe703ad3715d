"""Imports of a module, in ruff's order, and the merge of two modules."""

import ast
import sys
from collections.abc import Iterable, Mapping

from opportune.cli.scaffold.source import MAX_LINE_LENGTH, NotAsExpected, Source, bound_names, is_text
from opportune.config.project import PACKAGE

OWN = {PACKAGE, "app", "bench", "opportune", "tests"}


def merged(text: str, addition: str) -> str:
    """A module with what another one imports and defines at its end.

    Raises:
        NotAsExpected: one of the names stands for something else there.
    """
    if not text:
        return addition
    source, new = Source(text), Source(addition)
    rest = [node for node in new.tree.body if not isinstance(node, ast.ImportFrom) and not is_text(node)]
    imports = _imported(new.tree)
    there = _imported(source.tree)
    wanted = {name for module, names in imports.items() for name in names - there.get(module, set())}
    if twice := ((bound_names(ast.Module(rest, [])) | wanted) & bound_names(source.tree)):
        raise NotAsExpected(f"has a {min(twice)} already")
    code = new.bytes[new.place(rest[0]).start :].decode().strip()
    before = with_imports(text, imports).rstrip()
    return f"{before}{_gap(before, rest[0])}{code}\n"


def _imported(tree: ast.Module) -> dict[str, set[str]]:
    """Names by the module that they are imported from, under no others."""
    found: dict[str, set[str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            found.setdefault(node.module or "", set()).update(each.name for each in node.names if not each.asname)
    return found


def _gap(before: str, first: ast.stmt) -> str:
    """As ruff has it between what there is and what follows it."""
    if not before:
        return ""
    last = Source(before).tree.body[-1]
    if not isinstance(first, ast.Assign) or isinstance(last, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return "\n\n\n"
    return "\n" if isinstance(last, ast.Assign) else "\n\n"


def with_imports(text: str, imports: Mapping[str, Iterable[str]]) -> str:
    """A module that imports these names by module, each in its place."""
    for module, names in sorted(imports.items()):
        text = _with_import(Source(text), module, set(names))
    return text


def _with_import(source: Source, module: str, names: set[str]) -> str:
    found = [node for node in source.tree.body if isinstance(node, ast.ImportFrom) and not node.level]
    there = [node for node in found if node.module == module]
    missing = names - {alias.name for node in there for alias in node.names if not alias.asname}
    if not missing:
        return source.text
    return _extended(source, there[0], missing) if there else _new_import(source, module, missing)


def _extended(source: Source, node: ast.ImportFrom, names: set[str]) -> str:
    place = source.place(node)
    old = source.bytes[place.start : place.end].decode()
    known = {alias.name if not alias.asname else f"{alias.name} as {alias.asname}" for alias in node.names}
    if "\n" not in old:
        return source.replaced(place.start, place.end, _statement(node.module or "", known | names)).text
    lines = {alias.lineno: alias.name for alias in node.names}
    if len(lines) < len(node.names):
        raise NotAsExpected(f"imports of {node.module} in lines of its own")
    for name in sorted(names, key=_order, reverse=True):
        after = [line for line, other in lines.items() if _order(other) < _order(name)]
        at = source.line_start(max(after) + 1 if after else min(lines))
        source = source.replaced(at, at, f"    {name},\n")
    return source.text


def _statement(module: str, names: Iterable[str]) -> str:
    ordered = sorted(names, key=_order)
    line = f"from {module} import {', '.join(ordered)}"
    if len(line) <= MAX_LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in ordered), ")"])


def _order(name: str) -> tuple[int, str]:
    """As ruff sorts what is imported: constants, classes, the rest."""
    name = name.partition(" ")[0]
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower()


def _new_import(source: Source, module: str, names: set[str]) -> str:
    statement, section = _statement(module, names), _section(module)
    imports = [node for node in source.tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    same = [node for node in imports if _section(_module_of(node)) == section]
    for node in same:
        if isinstance(node, ast.ImportFrom) and _module_of(node).lower() > module.lower():
            return _before(source, node, f"{statement}\n")
    if same:
        return _after(source, same[-1], f"\n{statement}")
    for node in imports:
        if _section(_module_of(node)) > section:
            return _before(source, node, f"{statement}\n\n")
    if imports:
        return _after(source, imports[-1], f"\n\n{statement}")
    if source.tree.body and is_text(source.tree.body[0]):
        return _after(source, source.tree.body[0], f"\n\n{statement}")
    return f"{statement}\n" + (f"\n\n{source.text}" if source.tree.body else source.text)


def _before(source: Source, node: ast.stmt, text: str) -> str:
    at = source.place(node).start
    return source.replaced(at, at, text).text


def _after(source: Source, node: ast.stmt, text: str) -> str:
    at = source.line_end(source.place(node).end)
    return source.replaced(at, at, text).text


def _module_of(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return node.module or ""
    return node.names[0].name if isinstance(node, ast.Import) else ""


def _section(module: str) -> int:
    root = module.partition(".")[0]
    return 0 if root == "__future__" else 1 if root in sys.stdlib_module_names else 3 if root in OWN else 2
