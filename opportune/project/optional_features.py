"""Features of the framework that a project lists in `installed.py`, and the commands that features declare.

Nothing here imports a feature, because that would import all its code. Their source is read as text.
"""

import ast
import re
import sys
from collections.abc import Iterable
from functools import cache
from pkgutil import get_data
from typing import Any

from opportune.errors import OperatorError
from opportune.project.assignments import assigned_values
from opportune.project.current import HAS_PROJECT
from opportune.project.layout import FRAMEWORK_FEATURES, PACKAGE

DECLARATION = re.compile(r"^from opportune\.([\w.]+)\.feature import (\w+)", re.MULTILINE)
STUB = (get_data("opportune", "features/__init__.pyi") or b"").decode()  # fails without the file
OPTIONAL_FEATURES = {name: package for package, name in DECLARATION.findall(STUB)}
"""Packages below `opportune` with a `feature.py`, by the name of the feature in the stub of `opportune.features`."""
URLS = {
    "operations": ("/admin/operations", "/admin/status", "/admin/job", "/admin/cache", "/admin/appearance"),
    "answers_media": ("/answers/transcriptions",),
    "answers": ("/answers", "/api/v1/answers"),
    "assistants": ("/assistants", "/api/v1/assistants"),
    "telemetry": ("/metrics",),
    "request_panel": ("/_debug",),
    "documentation": ("/docs",),
    "knowledge": ("/knowledge", "/api/v1/knowledge"),
    "mcp": ("/mcp", "/accounts/oauth"),
    "ag_ui": ("/api/v1/ag-ui",),
    "palette": ("/search",),
    "teams": ("/teams", "/api/v1/teams"),
    "welcome": ("/welcome",),
}
"""Beginnings of the paths of their pages, by the name of the feature."""
INSTALLED = "INSTALLED"


def how_to_list(name: str) -> str:
    """Return `Add `backup` to app/installed.py.` for the end of a message."""
    place = f"{PACKAGE}/installed.py" if HAS_PROJECT else "opportune.mount(features=[…])"
    return f"Add `{name}` to {place}."


def require_feature(name: str, installed: Iterable[Any]) -> None:
    """Check that the features of a site include an optional one."""
    if all(feature.name != name for feature in installed):
        raise OperatorError(f"The feature {name} is not installed. {how_to_list(name)}")


@cache
def feature_of_module(name: str) -> str | None:
    packages = OPTIONAL_FEATURES.items()
    return next((feature for feature, package in packages if f"{name}.".startswith(f"opportune.{package}.")), None)


def feature_of_path(path: str) -> str | None:
    """Return the optional feature with a page of this path; None if there is none."""
    for name, urls in URLS.items():
        if any(f"{path}/".startswith(f"{url}/") for url in urls):
            return name
    return None


@cache
def features_of_settings() -> dict[str, str]:
    """Return the optional features by the names of their settings. Each `settings.py` is read as text."""
    features: dict[str, str] = {}
    for feature, package in OPTIONAL_FEATURES.items():
        text = source_of(f"opportune.{package}.settings").decode()
        features |= dict.fromkeys(re.findall(r"^    ([a-z]\w*) *:", text, re.MULTILINE), feature)
    return features


class NotLiteral(Exception):
    """The commands cannot be read from the text, for example because the list of features is computed."""


def commands_of_installed() -> dict[str, dict[str, str]]:
    """Return the modules of commands by name, for each feature in the project's `installed.py`.

    Raises:
        NotLiteral: The list or a feature is computed, invalid, or already imported. Use the features instead.
    """
    file = f"{PACKAGE}.installed"
    if file in sys.modules or not HAS_PROJECT:
        raise NotLiteral
    body = _statements_of(file)
    imports = [node for node in body if isinstance(node, ast.ImportFrom)]
    origins = {alias.asname or alias.name: (node.module or "", alias.name) for node in imports for alias in node.names}
    declarations = [origins.get(name, (file, name)) for name in _listed_names(body)]
    return dict(_commands_in(module, variable) for module, variable in declarations)


def commands_of_optional(feature: str) -> dict[str, str]:
    """Return the modules of commands by name of a feature of the framework."""
    return _commands_in(FRAMEWORK_FEATURES, feature)[1]


def source_of(module: str) -> bytes:
    """Return the source of a module, also from the framework's wheel; empty if it does not exist."""
    package, *names = module.split(".")
    try:
        return get_data(package, f"{'/'.join(names)}.py") or b""
    except (OSError, ImportError):
        return b""


def _statements_of(module: str) -> list[ast.stmt]:
    try:
        return ast.parse(source_of(module)).body
    except SyntaxError:
        raise NotLiteral from None


def _listed_names(body: list[ast.stmt]) -> list[str]:
    """Return the names in `INSTALLED = (books, films)`. Other uses of `INSTALLED` may change it."""
    uses = [node for statement in body for node in ast.walk(statement) if getattr(node, "id", "") == INSTALLED]
    entries: list[ast.expr] | None = getattr(assigned_values(body).get(INSTALLED), "elts", None)
    names = [entry.id for entry in entries or () if isinstance(entry, ast.Name)]
    if entries is None or len(uses) > 1 or len(names) < len(entries):
        raise NotLiteral
    return names


def _commands_in(module: str, variable: str) -> tuple[str, dict[str, str]]:
    """Return the name of a feature and its commands, from `variable = Feature(…)` in a module."""
    if module == FRAMEWORK_FEATURES and variable in OPTIONAL_FEATURES:
        module = f"opportune.{OPTIONAL_FEATURES[variable]}.feature"
    match assigned_values(_statements_of(module)).get(variable):
        case ast.Call(ast.Name("Feature"), [ast.Constant(str(name)), *_], options):
            arguments = {option.arg: option.value for option in options}
            if None not in arguments:
                return name, _literal_commands(arguments.get("commands", ast.Dict([], [])))
    raise NotLiteral


def _literal_commands(value: ast.expr) -> dict[str, str]:
    try:
        commands: dict[str, str] = ast.literal_eval(value)
    except ValueError:
        raise NotLiteral from None
    return commands
