"""Places in a feature's code that name a field of a model, for messages about a renamed field."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from opportune.project.layout import display_path

FIELD_NAME = re.compile(r"-?([A-Za-z_]\w*?)(?:__\w+|\..+)?")
"""Field name in `-price`, `due_on__gte` and `author.name`."""


def describe_usages(model: type[Any], name: str) -> str:
    """Return a sentence that lists the places that name a missing field. Empty if there is only one."""
    usages = [] if hasattr(model, name) else [*find_usages(model, name)]
    return f" {model.__name__}.{name} is named in: {', '.join(usages)}" if len(usages) > 1 else ""


def find_usages(model: type[Any], name: str) -> Iterator[str]:
    """Yield `file:line` of each place in the model's package that names a field.

    It looks at options of classes for the model (`Crud[Book]`, `AdminView, model=Book`), calls with the model as an
    argument, keyword arguments of `Book(…)`, and `Book.name`.
    """
    file = getattr(sys.modules.get(model.__module__), "__file__", None)
    for path in sorted(Path(file).parent.rglob("*.py")) if file else ():
        text = path.read_text(encoding="utf-8")
        if name in text and model.__name__ in text:
            lines = sorted(set(_find_usage_lines(ast.parse(text), model.__name__, name)))
            yield from (f"{display_path(path)}:{line}" for line in lines)


def _find_usage_lines(module: ast.Module, model: str, name: str) -> Iterator[int]:
    for node in ast.walk(module):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=attribute) if (owner, attribute) == (model, name):
                yield node.lineno
            case ast.Call(func=ast.Name(id=function), keywords=keywords) if function == model:
                yield from (keyword.value.lineno for keyword in keywords if keyword.arg == name)
            case ast.ClassDef(bases=bases, keywords=keywords) if _mentions(model, *bases, *keywords):
                yield from _find_string_lines(node, name)
            case ast.Call(args=arguments) if _mentions(model, *arguments):
                yield from _find_string_lines(node, name)


def _mentions(model: str, *nodes: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) and part.id == model for node in nodes for part in ast.walk(node))


def _find_string_lines(node: ast.AST, name: str) -> Iterator[int]:
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            match = FIELD_NAME.fullmatch(part.value)
            if match and match[1] == name:
                yield part.lineno
