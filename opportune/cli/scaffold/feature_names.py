"""Checks of names of features. Uses only the standard library, to refuse them before packages are installed."""

import builtins
import keyword
import re
from pathlib import Path

from opportune.cli.scaffold.page_paths import FRAMEWORK_PATHS
from opportune.project.layout import FRAMEWORK, PACKAGE, PROJECT
from opportune.project.optional_features import OPTIONAL_FEATURES

MAX_NAME_LENGTH = 24
RESERVED = {
    *("admin", "api", "features", "feature", "installed", "main", "models", "new", "pages", "settings", "tests"),
    "visitors",
}
"""Modules of projects and features, which would be ambiguous as a feature name, and a feature of the framework."""


def name_problem(name: str) -> str:
    """Return a sentence if the name is invalid, reserved, or the name of a feature in the project; else empty."""
    if problem := _spelling_problem(name):
        return problem
    modules = {path.stem for pattern in ("*", "contrib/*") for path in FRAMEWORK.glob(pattern)}
    if keyword.iskeyword(name) or name in {*dir(builtins), *FRAMEWORK_PATHS, *OPTIONAL_FEATURES, *RESERVED, *modules}:
        return f"{name!r} is reserved by Python or by the framework."
    if existing := next((folder for folder in folders(name) if folder.exists()), None):
        return f"{existing.relative_to(PROJECT)} already exists."
    return ""


def _spelling_problem(name: str) -> str:
    if re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) and 2 <= len(name) <= MAX_NAME_LENGTH:
        return ""
    return (
        f"{name!r} is not a feature name. Use 2 to {MAX_NAME_LENGTH} lowercase letters, digits and underscores, "
        "such as book_reviews."
    )


def folders(name: str) -> list[Path]:
    return [PROJECT / parent / name for parent in (PACKAGE, "tests")]


def missing_feature(project: Path, name: str) -> str:
    """Return a message if the project has no folder of this feature; else empty."""
    if re.fullmatch(r"\w+", name) and (project / PACKAGE / name / "feature.py").is_file():
        return ""
    return _spelling_problem(name) or (
        f"There is no feature {PACKAGE}/{name}. Create it with its first model: "
        f"python3 oppman.py startapp {name} MODEL FIELD…"
    )
