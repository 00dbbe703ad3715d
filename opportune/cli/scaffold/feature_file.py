"""Entries of a feature's `Feature(…)`, put in where they belong."""

import ast

from opportune.cli.scaffold.module_imports import with_imports
from opportune.cli.scaffold.source import NotAsExpected, Source, bound_names, exploded, exploded_if_long, with_item

ORDER = (
    *("name", "summary", "settings", "models", "pages", "api", "admin", "metrics", "navigation", "profile_panel"),
    *("home_card", "user_columns", "demo", "personal_data", "jobs", "first_jobs", "hooks", "operations"),
    *("admin_operations", "admin_panels", "status", "gauges", "groups", "checks", "lifespan"),
)
"""Order of the entries, as in the examples."""


def with_model(text: str, package: str, entries: dict[str, str]) -> str:
    """A `feature.py` with what one more model brings: code by entry, such as `{"models": "models.Post"}`.

    Raises:
        NotAsExpected: there is no `Feature(…)`, or an entry is written in a way that takes no more.
    """
    if "admin" in entries and not _lists_views(text):
        entries = entries | {"admin": f'"{package}.admin"'}
    for entry, code in entries.items():
        source = Source(text)
        call = feature_call(source)
        if "\n" not in source.segment(call):
            source = exploded(source, call)
        text = _with_entry(source, entry, code).text
    modules = {code.partition(".")[0] for code in entries.values()} & {"admin", "api", "models", "pages"}
    if "personal_data" in entries:
        modules |= {"models"}
    _require_modules(Source(text), package, modules)
    imports = {package: modules}
    if "navigation" in entries or "personal_data" in entries:
        kinds = {"Link"} if "navigation" in entries else set()
        imports["opportune.feature"] = kinds | ({"PersonalData"} if "personal_data" in entries else set())
    return with_imports(text, imports)


def _lists_views(text: str) -> bool:
    """Tell if `admin=` lists views instead of naming their module."""
    given = (each.value for each in feature_call(Source(text)).keywords if each.arg == "admin")
    return not isinstance(next(given, ast.Constant("")), ast.Constant)


def _require_modules(source: Source, package: str, modules: set[str]) -> None:
    """Raise NotAsExpected where `api` is something else than the module of that name."""
    imports = [node for node in source.tree.body if isinstance(node, ast.ImportFrom) and node.module == package]
    given = {alias.name for node in imports for alias in node.names if not alias.asname}
    if others := (bound_names(source.tree) & modules) - given:
        name = min(others)
        raise NotAsExpected(
            f"has something else called {name}: write `from {package} import {name}`, and {name}.… for it"
        )


def takes_owner(text: str) -> bool:
    """Tell if an owner column can be added to its `personal_data`, which may be created elsewhere."""
    call = feature_call(Source(text))
    given = next((each.value for each in call.keywords if each.arg == "personal_data"), None)
    return given is None or _owners_in(given) is not None


def _owners_in(given: ast.expr) -> ast.List | ast.Tuple | None:
    match given:
        case ast.Call(func=ast.Name(id="PersonalData"), keywords=keywords):
            owners = next((each.value for each in keywords if each.arg == "owners"), None)
            return owners if isinstance(owners, ast.List | ast.Tuple) else None
    return None


def feature_call(source: Source) -> ast.Call:
    """Return the call of `Feature(…)`."""
    for node in source.tree.body:
        match node:
            case ast.Assign(value=ast.Call(func=ast.Name(id="Feature")) as call):
                return call
            case ast.AnnAssign(value=ast.Call(func=ast.Name(id="Feature")) as call):
                return call
    raise NotAsExpected("has no NAME = Feature(…)")


def _with_entry(source: Source, entry: str, code: str) -> Source:
    call = feature_call(source)
    given = next((each.value for each in call.keywords if each.arg == entry), None)
    if entry == "groups":
        return _with_group(source, call, given, code)
    if isinstance(given, ast.Constant) and entry == "admin":
        return source
    if given is None:
        is_alone = entry in ("pages", "api", "admin", "personal_data")
        return _with_new(source, call, entry, code if is_alone else f"[{code}]")
    if entry == "personal_data":
        return _with_owner(source, given, code)
    if isinstance(given, ast.List | ast.Tuple):
        return with_item(source, given, code)
    if entry in ("pages", "api") and isinstance(given, ast.Attribute | ast.Name):
        place, old = source.place(given), source.segment(given)
        star = "*" if old.endswith("routers") else ""
        return source.replaced(place.start, place.end, f"[{star}{old}, {code}]")
    raise NotAsExpected(f"says {entry}=… in a way of its own: add {code} there")


def _with_new(source: Source, call: ast.Call, entry: str, code: str) -> Source:
    before = [each for each in call.keywords if each.arg in ORDER[: ORDER.index(entry)]]
    if not before:
        raise NotAsExpected(f"has no name=… in its Feature(…): add {entry}={code}")
    last = source.place(before[-1])
    text = source.bytes[last.end :].lstrip()
    if not text.startswith(b","):
        source = source.replaced(last.end, last.end, ",")
    end = source.line_end(last.end)
    changed = source.replaced(end, end, f"\n{source.indent(last.start)}{entry}={code},")
    return exploded_if_long(changed, end + 1)


def _with_owner(source: Source, given: ast.expr, code: str) -> Source:
    """One owner more in `PersonalData(owners=[…])`."""
    column = code.partition("owners=[")[2].removesuffix("])")
    owners = _owners_in(given)
    if owners is None:
        raise NotAsExpected(f"says personal_data=… in a way of its own: add {column} to its owners")
    return with_item(source, owners, column)


def _with_group(source: Source, call: ast.Call, given: ast.expr | None, code: str) -> Source:
    """`"Librarians": {"book": "*"}` in `groups={…}`, in a group that is there or as a new one."""
    if given is None:
        return _with_new(source, call, "groups", f"{{{code}}}")
    if not isinstance(given, ast.Dict):
        raise NotAsExpected(f"says groups=… in a way of its own: add {code} there")
    wanted = ast.parse(f"{{{code}}}", mode="eval").body
    assert isinstance(wanted, ast.Dict)
    name = ast.literal_eval(wanted.keys[0] or ast.Constant(""))
    for key, value in zip(given.keys, given.values, strict=True):
        if isinstance(key, ast.Constant) and key.value == name and isinstance(value, ast.Dict):
            return with_item(source, value, code.partition("{")[2].removesuffix("}"))
    return with_item(source, given, code)
