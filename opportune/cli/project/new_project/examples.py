"""The features of the starter that a project need not have."""

import ast
from pathlib import Path

from opportune.config.project import FRAMEWORK, PACKAGE, PROJECT, USERS
from opportune.errors import OperatorError

ALWAYS = {"home": "the landing page", USERS: "your users: what they have beside an e-mail address"}
"""Features that are no examples, and what they are."""


OF_FRAMEWORK = ("teams",)
"""Features of the framework that a project need not have: not more than names in its list of what is installed."""


def examples() -> dict[str, str]:
    """Each with what it says of itself."""
    files = [file for file in sorted((PROJECT / PACKAGE).glob("*/feature.py")) if file.parent.name not in ALWAYS]
    of_framework = [FRAMEWORK / "contrib" / name / "feature.py" for name in OF_FRAMEWORK]
    return {file.parent.name: _summary(file) for file in [*of_framework, *files]}


def _summary(file: Path) -> str:
    """The words of its declaration, read from the text: to import it takes what is not installed yet."""
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.keyword) and node.arg == "summary" and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def named(words: str) -> list[str]:
    """The examples that these words name.

    Raises:
        OperatorError: one of them is none.
    """
    known = list(examples())
    names = [word.strip() for word in words.split(",") if word.strip()]
    if names in ([], ["none"], ["all"]):
        return known if names == ["all"] else []
    if unknown := [name for name in names if name not in known]:
        raise OperatorError(f"There is no example {unknown[0]!r}: there are {', '.join(known)}; or say all, or none.")
    return [name for name in known if name in names]
