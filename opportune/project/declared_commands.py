"""Commands that features declare, read from source text. Importing a feature would import all its code."""

import ast
import sys
from pkgutil import get_data

from opportune.project.feature_packages import HAS_PROJECT
from opportune.project.layout import FRAMEWORK_FEATURES, PACKAGE
from opportune.project.optional_features import OPTIONAL_FEATURES

INSTALLED = "INSTALLED"


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
