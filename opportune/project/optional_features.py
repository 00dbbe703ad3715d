"""Features of the framework that a project lists in `installed.py`, and the commands that features declare.

Nothing here imports a feature, because that would import all its code. Their source is read as text.
"""

import ast
import re
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from pkgutil import get_data
from typing import Any, NamedTuple

from opportune.errors import OperatorError
from opportune.project.current import HAS_PROJECT
from opportune.project.layout import FRAMEWORK, FRAMEWORK_FEATURES, PACKAGE


class OptionalFeature(NamedTuple):
    package: str
    """Package below `opportune`, with `feature.py`."""
    urls: tuple[str, ...] = ()
    """Beginnings of the paths of its pages."""


OPTIONAL_FEATURES = {
    "accounts": OptionalFeature("accounts"),
    "admin": OptionalFeature("admin"),
    "operations": OptionalFeature(
        "contrib.operations", ("/admin/operations", "/admin/status", "/admin/job", "/admin/cache", "/admin/appearance")
    ),
    "dashboard": OptionalFeature("contrib.dashboard"),
    "saved_views": OptionalFeature("contrib.saved_views"),
    "reports": OptionalFeature("contrib.reports"),
    "row_versions": OptionalFeature("contrib.row_versions"),
    "import_export": OptionalFeature("contrib.import_export"),
    "jobs": OptionalFeature("jobs"),
    "llm": OptionalFeature("contrib.llm"),
    "answers": OptionalFeature("contrib.answers", ("/answers", "/api/v1/answers")),
    "assistants": OptionalFeature("contrib.assistants", ("/assistants", "/api/v1/assistants")),
    "evaluation": OptionalFeature("contrib.evaluation"),
    "telemetry": OptionalFeature("contrib.telemetry", ("/metrics",)),
    "request_panel": OptionalFeature("contrib.request_panel", ("/_debug",)),
    "backup": OptionalFeature("contrib.backup"),
    "doctor": OptionalFeature("contrib.doctor"),
    "deploy": OptionalFeature("contrib.deploy"),
    "database_cache": OptionalFeature("contrib.database_cache"),
    "copydb": OptionalFeature("contrib.copydb"),
    "dumps": OptionalFeature("contrib.dumps"),
    "inspectdb": OptionalFeature("contrib.inspectdb"),
    "translations": OptionalFeature("contrib.translations"),
    "documentation": OptionalFeature("contrib.documentation", ("/docs",)),
    "documents": OptionalFeature("contrib.documents"),
    "knowledge": OptionalFeature("contrib.knowledge", ("/knowledge", "/api/v1/knowledge")),
    "mcp": OptionalFeature("contrib.mcp", ("/mcp", "/accounts/oauth")),
    "ag_ui": OptionalFeature("contrib.ag_ui", ("/api/v1/ag-ui",)),
    "palette": OptionalFeature("contrib.palette", ("/search",)),
    "teams": OptionalFeature("contrib.teams", ("/teams", "/api/v1/teams")),
    "agents": OptionalFeature("contrib.agents"),
    "welcome": OptionalFeature("contrib.welcome", ("/welcome",)),
}
"""All of them by name. `opportune.features` loads those that a project lists."""
INSTALLED = "INSTALLED"


def how_to_list(name: str) -> str:
    """Return `Add `backup` to app/installed.py.` for the end of a message."""
    place = f"{PACKAGE}/installed.py" if HAS_PROJECT else "opportune.mount(features=[…])"
    return f"Add `{name}` to {place}."


def require_feature(name: str, installed: Iterable[Any]) -> None:
    """Check that the features of a site include an optional one.

    Raises:
        OperatorError: The feature is missing. The message names it and the file to change.
    """
    if all(feature.name != name for feature in installed):
        raise OperatorError(f"The feature {name} is not installed. {how_to_list(name)}")


@cache
def feature_of_module(name: str) -> str | None:
    """Return the optional feature with this module; None if there is none."""
    packages = ((feature, f"opportune.{optional.package}.") for feature, optional in OPTIONAL_FEATURES.items())
    return next((feature for feature, package in packages if f"{name}.".startswith(package)), None)


def feature_of_path(path: str) -> str | None:
    """Return the optional feature with a page of this path; None if there is none."""
    for name, feature in OPTIONAL_FEATURES.items():
        if any(f"{path}/".startswith(f"{url}/") for url in feature.urls):
            return name
    return None


def feature_of_setting(name: str) -> str | None:
    """Return the optional feature with this setting; None if there is none. Its `settings.py` is read as text."""
    return _features_of_settings().get(name.lower())


@cache
def _features_of_settings() -> dict[str, str]:
    """Return the optional features by the names of their settings."""
    features: dict[str, str] = {}
    for feature, optional in OPTIONAL_FEATURES.items():
        file = Path(FRAMEWORK, *optional.package.split("."), "settings.py")
        text = file.read_text(encoding="utf-8") if file.is_file() else ""
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
    _, commands = _commands_in(FRAMEWORK_FEATURES, feature)
    return commands


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
    entries: list[ast.expr] | None = getattr(_value_of(INSTALLED, body), "elts", None)
    names = [entry.id for entry in entries or () if isinstance(entry, ast.Name)]
    if entries is None or len(uses) > 1 or len(names) < len(entries):
        raise NotLiteral
    return names


def _commands_in(module: str, variable: str) -> tuple[str, dict[str, str]]:
    """Return the name of a feature and its commands, from `variable = Feature(…)` in a module."""
    if module == FRAMEWORK_FEATURES and variable in OPTIONAL_FEATURES:
        module = f"opportune.{OPTIONAL_FEATURES[variable].package}.feature"
    match _value_of(variable, _statements_of(module)):
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


def _value_of(variable: str, body: list[ast.stmt]) -> ast.expr | None:
    for statement in body:
        match statement:
            case ast.Assign([ast.Name(name)], value) | ast.AnnAssign(ast.Name(name), _, value) if name == variable:
                return value
    return None
