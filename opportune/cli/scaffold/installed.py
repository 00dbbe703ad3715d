"""Edits of app/installed.py: add or remove a feature."""

import ast
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from opportune.cli.scaffold.source import read_source, with_imports, with_item
from opportune.errors import OperatorError
from opportune.project.assignments import assigned_values
from opportune.project.atomic_files import private_file, temporary_path
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import FRAMEWORK_FEATURES, PACKAGE

INSTALLED = f"{PACKAGE}/installed.py"


def one_at_a_time(project: Path) -> AbstractContextManager[object]:
    """Refuse a second command that changes code, because it would overwrite the changes of the first one."""
    return private_file(temporary_path(project / PACKAGE))


def with_feature(text: str, name: str, module: str = "") -> str:
    """Add the import of a feature and its entry at the end of `INSTALLED`. By default, its module is in the project."""
    source = read_source(text, INSTALLED)
    features, _ = _find_installed(source.tree)
    return with_imports(with_item(source, features, name).text, {module or f"{PACKAGE}.{name}.feature": {name}})


def listed_names(text: str) -> set[str]:
    features, _ = _find_installed(read_source(text, INSTALLED).tree)
    return {ast.unparse(entry) for entry in features.elts}


def without_feature(text: str, name: str) -> str:
    """Remove the import and the entry of a feature of the project or of the framework."""
    features, imports = _find_installed(read_source(text, INSTALLED).tree)
    removed = {node: [alias for alias in node.names if _is_import_of(node, alias, name)] for node in imports}
    names = {alias.asname or alias.name for aliases in removed.values() for alias in aliases}
    lines = text.splitlines()
    entries = _entries(lines, features)
    remaining = [line for line in entries if line.partition("#")[0].strip(" ,") not in names]
    lines[features.lineno - 1 : features.end_lineno] = remaining
    for node, aliases in reversed(removed.items()):  # from the end, so that the numbers of earlier lines stay the same
        if aliases:
            _remove_aliases(lines, node, aliases)
    # Without its only import, a section is empty.
    return re.sub(r"\n{3,}(?=from )", "\n\n", "\n".join(lines) + "\n")


def _remove_aliases(lines: list[str], node: ast.ImportFrom, removed: list[ast.alias]) -> None:
    remaining = [ast.unparse(alias) for alias in node.names if alias not in removed]
    if not remaining:
        del lines[node.lineno - 1 : node.end_lineno]
    elif _has_lines(node, node.names):
        for alias in reversed(removed):
            del lines[alias.lineno - 1]
    else:
        lines[node.lineno - 1 : node.end_lineno] = [f"from {node.module} import {', '.join(remaining)}"]


def _is_import_of(node: ast.ImportFrom, alias: ast.alias, name: str) -> bool:
    module = node.module or ""
    is_from_framework = module == FRAMEWORK_FEATURES and alias.name == name
    return is_from_framework or module.startswith((f"{PACKAGE}.{name}.", f"{PREFIX}{name}."))


def _find_installed(tree: ast.Module) -> tuple[ast.Tuple, list[ast.ImportFrom]]:
    features = assigned_values(tree.body).get("INSTALLED")
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if not isinstance(features, ast.Tuple) or not imports:
        raise OperatorError(f"{INSTALLED} has no list of features. Add INSTALLED: tuple[Feature, ...] = (...).")
    return features, imports


def _entries(lines: list[str], features: ast.Tuple) -> list[str]:
    """Return the lines of the tuple, one entry per line."""
    if _has_lines(features, features.elts):
        return lines[features.lineno - 1 : features.end_lineno]
    start = lines[features.lineno - 1][: features.col_offset]
    return [f"{start}(", *(f"    {ast.unparse(entry)}," for entry in features.elts), ")"]


def _has_lines(node: ast.Tuple | ast.ImportFrom, parts: Sequence[ast.expr | ast.alias]) -> bool:
    """Return whether each part has its own line between the parentheses."""
    numbers = [node.lineno, *(part.lineno for part in parts), node.end_lineno]
    return len({*numbers}) == len(numbers)
