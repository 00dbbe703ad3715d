"""Attributes and methods of earlier versions in the classes of a project, and where these are used."""

import ast
from collections.abc import Iterator, Mapping

from opportune.cli.project.code_changes import Change, Function, change_constants, rename
from opportune.cli.scaffold.source import Source
from opportune.errors.renamed_names import ACTIONS, ATTRIBUTES, CRUD_API, PAGES_WITHOUT

NAMES_IN_OPTIONS = {
    ("Feature", "groups"): ACTIONS,
    ("Crud", "team_roles"): ACTIONS,
    ("CrudApi", "without"): CRUD_API,
    ("CrudPages", "without"): PAGES_WITHOUT,
}
"""Names in the values of options, by class and option."""


def change_class(source: Source, class_: ast.ClassDef, root: str) -> Iterator[Change]:
    """Change the attributes and methods of a class that extends `root`, a class of the framework, and their uses."""
    assigned = [pair for statement in class_.body for pair in _assigned(statement)]
    methods = [statement for statement in class_.body if isinstance(statement, Function)]
    existing = {*(target.id for target, _ in assigned), *(method.name for method in methods)}
    attributes = ATTRIBUTES[root]
    for target, value in assigned:
        if new := attributes.get(target.id):
            is_team = target.id == "owner" and isinstance(value, ast.Constant) and value.value == "team_id"
            new = "team_column" if is_team else new
            yield rename(source, target, target.id, new, is_safe=new not in existing)
        if value and (names := NAMES_IN_OPTIONS.get((root, target.id))):
            yield from change_constants(source, ast.walk(value), names)
    for method in methods:
        if new := attributes.get(method.name):
            yield rename(source, method, method.name, new, is_safe=new not in existing)
    for node in (node for statement in class_.body for node in ast.walk(statement)):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) if name in existing and name in attributes:
                yield rename(source, node, name, attributes[name])
            case ast.Attribute(attr=name) if name in attributes and _is_own(node.value):
                yield rename(source, node, name, attributes[name])


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


def _assigned(statement: ast.stmt) -> Iterator[tuple[ast.Name, ast.expr | None]]:
    """Yield the names that a statement assigns, with their values if each has one."""
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    value = getattr(statement, "value", None)
    for target in targets:
        if isinstance(target, ast.Name):
            yield target, value
        elif isinstance(target, ast.Tuple):
            values = value.elts if isinstance(value, ast.Tuple) else [None] * len(target.elts)
            pairs = zip(target.elts, values, strict=False)
            yield from ((name, element) for name, element in pairs if isinstance(name, ast.Name))


def _is_own(node: ast.expr) -> bool:
    """Return whether this is `self`, `cls` or `super()`."""
    name = node.func if isinstance(node, ast.Call) else node
    return isinstance(name, ast.Name) and name.id in ("self", "cls", "super")
