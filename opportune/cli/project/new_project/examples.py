"""Optional features of the starter."""

import ast
import sys
from pathlib import Path
from typing import Any

from opportune.cli.project.shared_files import STARTER_ROOT
from opportune.errors import OperatorError
from opportune.project.layout import FRAMEWORK, PACKAGE, USERS

ALWAYS = {"home": "the landing page", USERS: "the user model"}
"""Features that every project has, with their descriptions."""
OPTIONAL_FRAMEWORK_FEATURES = ("teams", "knowledge")
"""Optional features of the framework, which only have a line in installed.py."""


def examples() -> dict[str, str]:
    """Return the summaries of the optional features, by name."""
    return {name: _read_argument(file, "summary", 1) for name, file in _feature_files().items()}


def _feature_files() -> dict[str, Path]:
    files = [file for file in sorted((STARTER_ROOT / PACKAGE).glob("*/feature.py")) if file.parent.name not in ALWAYS]
    framework_files = [FRAMEWORK / "contrib" / name / "feature.py" for name in OPTIONAL_FRAMEWORK_FEATURES]
    return {file.parent.name: file for file in [*framework_files, *files]}


def _read_argument(file: Path, name: str, position: int = sys.maxsize) -> Any:
    """Return a literal argument of `Feature(…)`, by keyword or position; empty if it has none.

    The file is parsed, because its imports may not be installed yet.
    """
    calls = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    call = next(call for call in calls if ast.unparse(call.func) == "Feature")
    values = {keyword.arg: keyword.value for keyword in call.keywords}
    if position < len(call.args):
        values[name] = call.args[position]
    return ast.literal_eval(values[name]) if name in values else ""


def parse_example_names(text: str) -> list[str]:
    """Return the examples in a comma-separated list, which may also be `all` or `none`, and those that they require.

    Raises:
        OperatorError: an example does not exist.
    """
    files = _feature_files()
    names = [word.strip() for word in text.split(",") if word.strip()]
    if names in ([], ["none"], ["all"]):
        return list(files) if names == ["all"] else []
    if unknown := [name for name in names if name not in files]:
        raise OperatorError(f"There is no example {unknown[0]!r}. Choose from {', '.join(files)}, all or none.")
    required = {other for name in names for other in _read_argument(files[name], "requires")}
    return [name for name in files if name in {*names, *required}]
