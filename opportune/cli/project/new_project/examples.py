"""Optional features of the starter."""

import ast
from pathlib import Path

from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT, USERS
from opportune.errors import OperatorError

ALWAYS = {"home": "the landing page", USERS: "the user model"}
"""Features that every project has, with their descriptions."""
OPTIONAL_FRAMEWORK_FEATURES = ("teams",)
"""Optional features of the framework, which only have a line in installed.py."""


def examples() -> dict[str, str]:
    """Return the summaries of the optional features, by name."""
    files = [file for file in sorted((PROJECT / PACKAGE).glob("*/feature.py")) if file.parent.name not in ALWAYS]
    framework_files = [FRAMEWORK / "contrib" / name / "feature.py" for name in OPTIONAL_FRAMEWORK_FEATURES]
    return {file.parent.name: _summary(file) for file in [*framework_files, *files]}


def _summary(file: Path) -> str:
    """Return the summary of a feature. The file is parsed, because its imports may not be installed yet."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.keyword) and node.arg == "summary" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def parse_example_names(text: str) -> list[str]:
    """Return the examples in a comma-separated list, which may also be `all` or `none`.

    Raises:
        OperatorError: an example does not exist.
    """
    available = list(examples())
    names = [word.strip() for word in text.split(",") if word.strip()]
    if names in ([], ["none"], ["all"]):
        return available if names == ["all"] else []
    if unknown := [name for name in names if name not in available]:
        raise OperatorError(f"There is no example {unknown[0]!r}. Choose from {', '.join(available)}, all or none.")
    return [name for name in available if name in names]
