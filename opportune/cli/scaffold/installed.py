"""Edits of app/installed.py: add or remove a feature."""

import ast
import re

from opportune.cli.scaffold.module_imports import import_statement, with_imports
from opportune.errors import OperatorError
from opportune.project.feature_packages import PREFIX
from opportune.project.layout import PACKAGE

INSTALLED = f"{PACKAGE}/installed.py"
FRAMEWORK_FEATURES = "opportune.features"


def with_feature(source: str, name: str, module: str = "") -> str:
    """Add the import of a feature and its entry at the end of `INSTALLED`.

    Args:
        source: Text of the file.
        name: Name of the feature.
        module: Module of its declaration. By default, it is in the project.

    Raises:
        OperatorError: the file does not define a tuple `INSTALLED`.
    """
    features, _ = _find_installed(source)
    lines = source.splitlines()
    entries = _entries(lines, features)
    lines[features.lineno - 1 : features.end_lineno] = [*entries[:-1], f"    {name},", entries[-1]]
    return with_imports("\n".join(lines) + "\n", {module or f"{PACKAGE}.{name}.feature": {name}})


def without_feature(source: str, name: str) -> str:
    """Remove the import and the entry of a feature of the project or of the framework.

    Raises:
        OperatorError: the file does not define a tuple `INSTALLED`.
    """
    features, imports = _find_installed(source)
    lines = source.splitlines()
    remaining = {node: [alias for alias in node.names if not _is_import_of(node, alias, name)] for node in imports}
    removed = {
        alias.asname or alias.name
        for node, aliases in remaining.items()
        for alias in node.names
        if alias not in aliases
    }
    lines[features.lineno - 1 : features.end_lineno] = [
        line for line in _entries(lines, features) if line.partition("#")[0].strip().rstrip(",") not in removed
    ]
    for node, aliases in reversed(remaining.items()):
        if len(aliases) < len(node.names):
            statement = import_statement(node.module or "", map(ast.unparse, aliases))
            lines[node.lineno - 1 : node.end_lineno] = statement.splitlines() if aliases else []
    text = "\n".join(lines) + "\n"
    return re.sub(r"\n{3,}(?=from )", "\n\n", text)  # without its only import, a section is empty


def _is_import_of(node: ast.ImportFrom, alias: ast.alias, name: str) -> bool:
    module = node.module or ""
    is_from_framework = module == FRAMEWORK_FEATURES and alias.name == name
    return is_from_framework or module.startswith((f"{PACKAGE}.{name}.", f"{PREFIX}{name}."))


def _find_installed(source: str) -> tuple[ast.Tuple, list[ast.ImportFrom]]:
    tree = ast.parse(source)
    features = next((node.value for node in tree.body if isinstance(node, ast.AnnAssign)), None)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if not isinstance(features, ast.Tuple) or not imports:
        raise OperatorError(f"{INSTALLED} has no list of features. Add INSTALLED: tuple[Feature, ...] = (...).")
    return features, imports


def _entries(lines: list[str], features: ast.Tuple) -> list[str]:
    """Return the lines of the tuple, one entry per line."""
    first, *others = lines[features.lineno - 1 : features.end_lineno]
    if others:
        return [first, *others]
    return [first[: features.col_offset] + "(", *(f"    {ast.unparse(entry)}," for entry in features.elts), ")"]
