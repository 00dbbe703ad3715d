"""The text of app/installed.py with one feature more, or one less."""

import ast

from opportune.config.project import PACKAGE
from opportune.errors import OperatorError

INSTALLED = f"{PACKAGE}/installed.py"


def with_feature(source: str, name: str) -> str:
    """Add an import in its place, and an entry at the end.

    Raises:
        OperatorError: the list is not written as it was when the project began.
    """
    features, imports = _parts(source)
    lines = source.splitlines()
    lines[features.lineno - 1 : features.end_lineno] = _with_entry(_one_each(lines, features), name)
    module = f"{PACKAGE}.{name}.feature"
    before = [node.end_lineno or 0 for node in imports if (node.module or "") < module]
    lines.insert(before[-1] if before else imports[0].lineno - 1, f"from {module} import {name}")
    return "\n".join(lines) + "\n"


def without_feature(source: str, name: str) -> str:
    """Take its import out, and its entry.

    Raises:
        OperatorError: as above.
    """
    features, imports = _parts(source)
    own = [node for node in imports if (node.module or "").startswith(f"{PACKAGE}.{name}.")]
    called = {alias.asname or alias.name for node in own for alias in node.names}
    lines = source.splitlines()
    entries = [line for line in _one_each(lines, features) if line.partition("#")[0].strip().rstrip(",") not in called]
    lines[features.lineno - 1 : features.end_lineno] = entries
    for node in reversed(own):
        del lines[node.lineno - 1 : node.end_lineno]
    return "\n".join(lines) + "\n"


def without_framework_feature(source: str, name: str) -> str:
    """Take a feature of `opportune.features` out of the imports, and its entry.

    Raises:
        OperatorError: as above.
    """
    features, imports = _parts(source)
    lines = source.splitlines()
    entries = [line for line in _one_each(lines, features) if line.partition("#")[0].strip().rstrip(",") != name]
    lines[features.lineno - 1 : features.end_lineno] = entries
    for node in imports:
        if node.module == "opportune.features":
            node.names = [alias for alias in node.names if alias.name != name]
            lines[node.lineno - 1 : node.end_lineno] = [ast.unparse(node)]
    return "\n".join(lines) + "\n"


def _parts(source: str) -> tuple[ast.Tuple, list[ast.ImportFrom]]:
    tree = ast.parse(source)
    features = next((node.value for node in tree.body if isinstance(node, ast.AnnAssign)), None)
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    if not isinstance(features, ast.Tuple) or not imports:
        raise OperatorError(f"{INSTALLED} has no INSTALLED: tuple[Feature, ...] = (...) to change.")
    return features, imports


def _one_each(lines: list[str], features: ast.Tuple) -> list[str]:
    """The lines of the tuple, an entry on each."""
    old = lines[features.lineno - 1 : features.end_lineno]
    if len(old) > 1:
        return old
    return [old[0][: features.col_offset] + "(", *(f"    {ast.unparse(entry)}," for entry in features.elts), ")"]


def _with_entry(lines: list[str], name: str) -> list[str]:
    return [*lines[:-1], f"    {name},", lines[-1]]
