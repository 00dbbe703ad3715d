"""Names of earlier versions in a project's classes and where these are used, and in its calls of `Feature`."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from opportune.cli.scaffold.source import Source, Span
from opportune.errors.renamed_names import ACTIONS, ATTRIBUTES, CRUD_API, PAGES_WITHOUT
from opportune.feature.declaration import FAMILIES, RENAMED

Function = ast.FunctionDef | ast.AsyncFunctionDef
NAMES_IN_OPTIONS = {
    ("Feature", "groups"): ACTIONS,
    ("Crud", "team_roles"): ACTIONS,
    ("CrudApi", "without"): CRUD_API,
    ("CrudPages", "without"): PAGES_WITHOUT,
}
"""Names in the values of options, by class and option."""


class Change(NamedTuple):
    """A name to change: `new` is the whole code between the positions, or None if the file cannot be changed safely."""

    line: int
    description: str
    span: Span
    new: str | None = None
    imports: frozenset[str] = frozenset()
    """Families of arguments to import."""


def rename(source: Source, node: ast.expr | Function, old: str, new: str, *, is_safe: bool = True) -> Change:
    """Return the change of a name, of an attribute after the dot, or of a method after `def`."""
    span = source.span(node)
    length = len(old.encode())
    is_method = isinstance(node, Function)
    end = source.bytes.index(old.encode(), span.start + len("def ")) + length if is_method else span.end
    span = Span(end - length, end)
    return Change(node.lineno, f"{old} -> {new}", span, new if is_safe else None)


def change_constants(source: Source, nodes: Iterable[ast.AST], names: Mapping[str, str]) -> Iterator[Change]:
    """Change the texts among some nodes that are old names."""
    for node in nodes:
        if isinstance(node, ast.Constant) and (new := names.get(str(node.value))):
            quote = source.segment(node)[0]
            code = f"{quote}{new}{quote}" if quote in "\"'" else None
            yield Change(node.lineno, f"{node.value!r} -> {new!r}", source.span(node), code)


def change_class(source: Source, class_: ast.ClassDef, root: str) -> Iterator[Change]:
    """Change the attributes and methods of a class that extends `root`, a class of the framework, and their uses."""
    definitions = [definition for statement in class_.body for definition in _definitions(statement)]
    existing = {name for _, name, _ in definitions}
    attributes = ATTRIBUTES[root]
    if any(name == "owner" and getattr(value, "value", "") == "team_id" for _, name, value in definitions):
        attributes = attributes | {"owner": "team_column"}
    for node, name, value in definitions:
        if new := attributes.get(name):
            yield rename(source, node, name, new, is_safe=new not in existing)
        if value and (names := NAMES_IN_OPTIONS.get((root, name))):
            yield from change_constants(source, ast.walk(value), names)
    for use in (use for statement in class_.body for use in ast.walk(statement)):
        match use:
            case ast.Name(id=name, ctx=ast.Load()) if name in existing and name in attributes:
                yield rename(source, use, name, attributes[name])
            case ast.Attribute(attr=name) if name in attributes and _is_own(use.value):
                yield rename(source, use, name, attributes[name])


def change_variables(source: Source, function: Function, roots: Mapping[str, str]) -> Iterator[Change]:
    """Change attributes of parameters and variables whose class extends one of the framework."""
    root_by_name: dict[str, str] = {}
    for node in ast.walk(function):
        match node:
            case ast.arg(arg=name, annotation=ast.expr() as annotation):
                root_by_name[name] = _root_of(annotation, roots)
            case ast.Assign([ast.Name(id=name)], value):
                root_by_name[name] = _root_of(value, roots)
    for node in ast.walk(function):
        if isinstance(node, ast.Attribute):
            variable = node.value.id if isinstance(node.value, ast.Name) else ""
            root = root_by_name.get(variable, "") or _root_of(node.value, roots)
            if new := ATTRIBUTES.get(root, {}).get(node.attr):
                yield rename(source, node, node.attr, new)


def _root_of(node: ast.expr, roots: Mapping[str, str]) -> str:
    """Return the framework's class that an annotation names, or that a call creates an object of."""
    match node:
        case ast.Await(value=call):
            return _root_of(call, roots)
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return roots.get(name, "")
        case ast.Subscript(ast.Name(id="Annotated"), ast.Tuple([type_, *_])):
            return _root_of(type_, roots)
        case ast.Call(func=ast.Attribute(value=class_, attr="for_user")):
            return _root_of(class_, roots)
    return ""


def _definitions(statement: ast.stmt) -> Iterator[tuple[ast.Name | Function, str, ast.expr | None]]:
    """Yield the attributes, with their values if each has one, or the method that a statement of a class defines."""
    if isinstance(statement, Function):
        yield statement, statement.name, None
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    value = getattr(statement, "value", None)
    for target in targets:
        if isinstance(target, ast.Name):
            yield target, target.id, value
        elif isinstance(target, ast.Tuple):
            values = value.elts if isinstance(value, ast.Tuple) else [None] * len(target.elts)
            pairs = zip(target.elts, values, strict=False)
            yield from ((name, name.id, element) for name, element in pairs if isinstance(name, ast.Name))


def _is_own(node: ast.expr) -> bool:
    """Return whether this is `self`, `cls` or `super()`."""
    name = node.func if isinstance(node, ast.Call) else node
    return isinstance(name, ast.Name) and name.id in ("self", "cls", "super")


def change_feature(source: Source, call: ast.Call) -> Iterator[Change]:
    """Group the arguments of a call of `Feature` in families, as they are since 0.2."""
    moved = {keyword.arg: place for keyword in call.keywords if keyword.arg and (place := _place_of(keyword))}
    if not moved:
        return
    description = ", ".join(
        f"{old} -> {family}={_class_name(family)}({argument or '…'})" for old, (family, argument) in moved.items()
    )
    unchanged = [keyword for keyword in call.keywords if keyword.arg not in moved]
    families = {family for family, _ in moved.values()}
    is_mixed = not families.isdisjoint(keyword.arg for keyword in unchanged)
    parentheses = Span(source.span(call.func).end, source.span(call).end)
    if is_mixed or "#" in source.segment(call):
        yield Change(call.lineno, description, parentheses)
        return
    code = ",\n    ".join(_new_arguments(source, call, moved))
    yield Change(call.lineno, description, parentheses, f"(\n    {code},\n)", frozenset(map(_class_name, families)))


def _new_arguments(source: Source, call: ast.Call, moved: Mapping[str, tuple[str, str]]) -> Iterator[str]:
    """Yield the arguments, with each family in the place of its first argument."""
    values: dict[str, list[str]] = {}
    for keyword in call.keywords:
        family, argument = moved.get(keyword.arg or "", ("", ""))
        value = source.segment(keyword.value)
        values.setdefault(family, []).append(f"{argument}={value}" if argument else value)
    yield from map(source.segment, call.args)
    for keyword in call.keywords:
        family, _ = moved.get(keyword.arg or "", ("", ""))
        if not family:
            yield source.segment(keyword)
        elif code := values.pop(family, None):
            code.sort(key=lambda value: "=" in value.partition("(")[0])  # a value without a name comes first
            yield f"{family}={_class_name(family)}({', '.join(code)})"


def _class_name(family: str) -> str:
    return str(FAMILIES[family].__name__)


def _place_of(keyword: ast.keyword) -> tuple[str, str] | None:
    """Return the family of an argument and its name there, empty for the first one; None if it is up to date."""
    name = keyword.arg or ""
    argument = RENAMED.get(name, name)
    if name in FAMILIES:
        function = keyword.value.func if isinstance(keyword.value, ast.Call) else None
        if isinstance(function, ast.Name) and function.id == FAMILIES[name].__name__:
            return None
        return name, argument if argument != name else ""
    family = _family_of(argument)
    return (family, argument) if family else None


def list_option(source: Source, attribute: ast.Attribute) -> Iterator[Change]:
    """List an option of a feature that moved into a family. The variable may be something else."""
    argument = RENAMED.get(attribute.attr, attribute.attr)
    if attribute.attr not in FAMILIES and (family := _family_of(argument)):
        yield rename(source, attribute, attribute.attr, f"{family}.{argument}", is_safe=False)


def _family_of(argument: str) -> str:
    return next((family for family, class_ in FAMILIES.items() if argument in class_.__dataclass_fields__), "")
