"""Edits of the `Feature(…)` call in a feature.py."""

import ast
from collections.abc import Sequence
from inspect import signature

from opportune import feature
from opportune.cli.scaffold.source import Source, UnexpectedStructure, bound_names, with_imports, with_item, with_line
from opportune.project.assignments import assigned_values

ORDER = [*signature(feature.Feature).parameters]
"""Order of the arguments of `Feature(…)`."""
MODULES = {"admin", "api", "models", "pages"}
"""Modules of a feature that its feature.py imports."""


def register_model(text: str, package: str, arguments: Sequence[str]) -> str:
    """Add arguments to the `Feature(…)` of a feature.py. Lists and families that exist are extended.

    Args:
        text: Text of the file.
        package: Package of the feature, such as `app.blog`.
        arguments: Code such as `models=[models.Post]` or `site=Site(navigation=[Link(…)])`, with one new part each.

    Raises:
        UnexpectedStructure: There is no `Feature(…)`, or an argument cannot be extended.
    """
    new = "".join(f"{argument}, " for argument in arguments)
    nodes = [*ast.walk(ast.parse(f"Feature({new})"))]
    classes = {node.func.id for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    modules = {node.id for node in nodes if isinstance(node, ast.Name)} & MODULES
    for argument in arguments:
        name, _, code = argument.partition("=")
        source = Source(text)
        call = _feature_call(source)
        value = _find_argument(call, name)
        text = (_merge(source, value, name, code) if value else _with_argument(source, call, name, code)).text
    _require_modules(Source(text), package, modules)
    return with_imports(text, {package: modules, "opportune.feature": classes - {"Feature"}})


def _feature_call(source: Source) -> ast.Call:
    for value in assigned_values(source.tree.body).values():
        match value:
            case ast.Call(ast.Name("Feature")):
                return value
    raise UnexpectedStructure("has no NAME = Feature(…)")


def _find_argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def lists_views(text: str) -> bool:
    """Return True if `Admin(…)` lists views instead of naming their module."""
    views = _find_argument(_feature_call(Source(text)), "admin")
    if isinstance(views, ast.Call):
        views = views.args[0] if views.args else _find_argument(views, "views")
    return views is not None and not isinstance(views, ast.Constant)


def _require_modules(source: Source, package: str, modules: set[str]) -> None:
    """Raise UnexpectedStructure if a name such as `api` is not the module of that name."""
    imports = [node for node in source.tree.body if isinstance(node, ast.ImportFrom) and node.module == package]
    imported = {alias.name for node in imports for alias in node.names if not alias.asname}
    if conflicts := (bound_names(source.tree) & modules) - imported:
        name = min(conflicts)
        raise UnexpectedStructure(
            f"uses the name {name} for something else. Write `from {package} import {name}` and use {name}.NAME"
        )


def _with_argument(source: Source, call: ast.Call, name: str, code: str) -> Source:
    before = [keyword for keyword in call.keywords if keyword.arg in ORDER[: ORDER.index(name)]]
    preceding = before or call.args
    if not preceding:
        raise UnexpectedStructure(f"has no name in its Feature(…). Add {name}={code} by hand")
    last = source.span(preceding[-1])
    argument = f"{name}={code}"
    if "\n" in source.segment(call):
        return with_line(source, last, argument)
    return source.replaced(last.end, last.end, f", {argument}")


def _merge(source: Source, old: ast.expr, name: str, code: str) -> Source:
    """Add the items, keys or arguments of new code to an existing expression of the same type."""
    match old, ast.parse(code, mode="eval").body:
        case _, ast.Constant():  # the project has chosen another value
            return source
        case ((ast.List() | ast.Tuple()), new):
            return with_item(source, old, code[1:-1] if isinstance(new, ast.List) else code)
        case ((ast.Name() | ast.Attribute()), ast.Attribute()):
            routers = source.segment(old)
            star = "*" if routers.endswith("routers") else ""
            span = source.span(old)
            return source.replaced(span.start, span.end, f"[{star}{routers}, {code}]")
        case ast.Dict(), ast.Dict(keys=[ast.Constant(key)], values=[value]):
            for existing_key, existing_value in zip(old.keys, old.values, strict=True):
                if isinstance(existing_key, ast.Constant) and existing_key.value == key:
                    return _merge(source, existing_value, name, _segment(code, value))
            return with_item(source, old, code[1:-1])
        case ast.Call(), ast.Call() as new if ast.unparse(old.func) == ast.unparse(new.func):
            return _merge_call(source, old, new, code)
    raise UnexpectedStructure(f"has an unexpected {name}= argument. Add {code} there by hand")


def _merge_call(source: Source, old: ast.Call, new: ast.Call, code: str) -> Source:
    """Add the new part of a call such as `Site(navigation=[…])` or `Admin([…])` to an existing one."""
    existing = _arguments(old)
    for name, value in _arguments(new).items():
        part = _segment(code, value)
        if name in existing:
            merged = _merge(source, existing[name], name, part)
        elif "" in existing or any(isinstance(argument, ast.Starred) for argument in old.args):
            raise UnexpectedStructure(f"unpacks arguments. Add {name}={part} there by hand")
        else:
            merged = with_item(source, old, f"{name}={part}")
        if merged is not source:
            return merged
    return source


def _arguments(call: ast.Call) -> dict[str, ast.expr]:
    """Return the arguments of a call such as `Admin(…)` by name; `**` has an empty name."""
    parameters = signature(getattr(feature, ast.unparse(call.func))).parameters
    arguments = dict(zip(parameters, call.args, strict=False))
    return arguments | {keyword.arg or "": keyword.value for keyword in call.keywords}


def _segment(code: str, node: ast.expr) -> str:
    return ast.get_source_segment(code, node) or ""
