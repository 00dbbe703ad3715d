"""Edits of the `Feature(…)` call in a feature.py."""

import ast
from inspect import signature

from opportune.cli.scaffold.source import Source, UnexpectedStructure, bound_names, with_imports, with_item, with_line
from opportune.feature import Feature

ORDER = [*signature(Feature).parameters]
"""Order of the arguments of `Feature(…)`."""
FAMILIES = {
    "admin": ("admin", "Admin"),
    "groups": ("accounts", "Accounts"),
    "navigation": ("site", "Site"),
    "personal_data": ("accounts", "Accounts"),
}
"""Argument and class of the family to which an entry belongs."""
DECLARATIONS = {"navigation": "Link", "personal_data": "PersonalData"}
"""Classes in the code of entries."""


def register_model(text: str, package: str, entries: dict[str, str]) -> str:
    """Register a model in a `feature.py`.

    Args:
        text: Text of the file.
        package: Package of the feature, such as `app.blog`.
        entries: Code by argument of `Feature(…)` or of a family, such as `{"models": "models.Post"}`.

    Raises:
        UnexpectedStructure: There is no `Feature(…)`, or an argument cannot be extended.
    """
    if "admin" in entries and not _lists_views(text):
        entries = entries | {"admin": f'"{package}.admin"'}
    for entry, code in entries.items():
        text = _with_argument(Source(text), entry, code).text
    modules = {code.partition(".")[0] for code in entries.values()} & {"admin", "api", "models", "pages"}
    if "personal_data" in entries:
        modules.add("models")
    _require_modules(Source(text), package, modules)
    names = {class_ for entry, (_, class_) in FAMILIES.items() if entry in entries}
    names |= {name for entry, name in DECLARATIONS.items() if entry in entries}
    return with_imports(text, {package: modules, "opportune.feature": names})


def _lists_views(text: str) -> bool:
    """Return True if `Admin(…)` lists views instead of naming their module."""
    value = _entry(feature_call(Source(text)), "admin")
    return value is not None and not isinstance(value, ast.Constant)


def _require_modules(source: Source, package: str, modules: set[str]) -> None:
    """Raise UnexpectedStructure if a name such as `api` is not the module of that name."""
    imports = [node for node in source.tree.body if isinstance(node, ast.ImportFrom) and node.module == package]
    imported = {alias.name for node in imports for alias in node.names if not alias.asname}
    if conflicts := (bound_names(source.tree) & modules) - imported:
        name = min(conflicts)
        raise UnexpectedStructure(
            f"uses the name {name} for something else. Write `from {package} import {name}` and use {name}.NAME"
        )


def can_add_personal_data_owner(text: str) -> bool:
    """Return True if addmodel can add an owner column to `personal_data`. A project may create it in another module."""
    value = _entry(feature_call(Source(text)), "personal_data")
    return value is None or _owners_in(value) is not None


def _entry(call: ast.Call, entry: str) -> ast.expr | None:
    """Return the value of an entry, which may be in a family."""
    family = _family(call, entry)
    if not isinstance(family, ast.Call):
        return family
    first = family.args[0] if entry == "admin" and family.args else None
    return first or _argument(family, _keyword(entry))


def _keyword(entry: str) -> str:
    """Return the name of an entry in its family."""
    return "views" if entry == "admin" else entry


def _family(call: ast.Call, entry: str) -> ast.expr | None:
    """Return the value of the family argument, such as `Site(…)`; the call itself for other entries."""
    return _argument(call, FAMILIES[entry][0]) if entry in FAMILIES else call


def _argument(call: ast.Call, name: str) -> ast.expr | None:
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def _owners_in(value: ast.expr) -> ast.List | ast.Tuple | None:
    match value:
        case ast.Call(func=ast.Name(id="PersonalData")) as call:
            owners = _argument(call, "owners")
            return owners if isinstance(owners, ast.List | ast.Tuple) else None
    return None


def feature_call(source: Source) -> ast.Call:
    """Return the call of `Feature(…)`."""
    for node in source.tree.body:
        match node:
            case ast.Assign(value=ast.Call(ast.Name("Feature")) as call):
                return call
            case ast.AnnAssign(value=ast.Call(ast.Name("Feature")) as call):
                return call
    raise UnexpectedStructure("has no NAME = Feature(…)")


def _with_argument(source: Source, entry: str, code: str) -> Source:
    call = feature_call(source)
    family = _family(call, entry)
    value = _entry(call, entry)
    if value is None:
        return _with_new_entry(source, call, family, entry, code)
    if entry == "groups":
        return _with_group(source, value, code)
    if isinstance(value, ast.Constant) and entry == "admin":
        return source
    if entry == "personal_data":
        return _with_owner(source, value, code)
    if isinstance(value, ast.List | ast.Tuple):
        return with_item(source, value, code)
    if entry in ("pages", "api") and isinstance(value, ast.Attribute | ast.Name):
        span = source.span(value)
        old = source.segment(value)
        star = "*" if old.endswith("routers") else ""
        return source.replaced(span.start, span.end, f"[{star}{old}, {code}]")
    raise UnexpectedStructure(f"has an unexpected {entry}= argument. Add {code} there by hand")


def _with_new_entry(source: Source, call: ast.Call, family: ast.expr | None, entry: str, code: str) -> Source:
    """Add an entry that the file lacks, and its family if necessary."""
    if entry == "groups":
        code = f"{{{code}}}"
    elif entry in ("models", "navigation") or (entry == "admin" and not code.startswith('"')):
        code = f"[{code}]"
    if entry not in FAMILIES:
        return _with_new_argument(source, call, entry, code)
    if isinstance(family, ast.Call):
        return with_item(source, family, f"{_keyword(entry)}={code}")
    name, class_ = FAMILIES[entry]
    argument = code if entry == "admin" else f"{entry}={code}"
    return _with_new_argument(source, call, name, f"{class_}({argument})")


def _with_new_argument(source: Source, call: ast.Call, entry: str, code: str) -> Source:
    before = [keyword for keyword in call.keywords if keyword.arg in ORDER[: ORDER.index(entry)]]
    preceding = before or call.args
    if not preceding:
        raise UnexpectedStructure(f"has no name in its Feature(…). Add {entry}={code} by hand")
    last = source.span(preceding[-1])
    argument = f"{entry}={code}"
    if "\n" in source.segment(call):
        return with_line(source, last, argument)
    return source.replaced(last.end, last.end, f", {argument}")


def _with_owner(source: Source, value: ast.expr, code: str) -> Source:
    """Add an owner to `PersonalData(owners=[…])`."""
    owners = _owners_in(value)
    assert owners is not None, "The caller uses can_add_personal_data_owner."
    return with_item(source, owners, code.partition("owners=[")[2].removesuffix("])"))


def _with_group(source: Source, value: ast.expr, code: str) -> Source:
    """Add code such as `"Librarians": {"book": "*"}` to `groups={…}`, extending an existing group."""
    if not isinstance(value, ast.Dict):
        raise UnexpectedStructure(f"has an unexpected groups= argument. Add {code} there by hand")
    name = next(iter(ast.literal_eval(f"{{{code}}}")))
    for key, models in zip(value.keys, value.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name and isinstance(models, ast.Dict):
            return with_item(source, models, code.partition("{")[2].removesuffix("}"))
    return with_item(source, value, code)
