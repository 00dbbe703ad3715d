"""Attributes that the properties and methods of a model read, found in their code without running it.

The result may contain too many names, such as those of global functions, but not too few. It follows calls of other
properties and methods of the model, but not of functions in other places.
"""

from collections.abc import Iterator, Mapping
from functools import cached_property
from inspect import getattr_static, isfunction, unwrap
from types import CodeType
from typing import Any

from opportune.db.models.columns import declaring_classes

MAX_CALL_DEPTH = 3
"""Properties and methods that are followed from one to the next."""


def properties_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the properties of a model by name, also cached and inherited ones."""
    names = {name for class_ in declaring_classes(model) for name in vars(class_)}
    members = {name: getattr_static(model, name, None) for name in names}
    return {name: member for name, member in members.items() if isinstance(member, property | cached_property)}


def attributes_read_by(member: Any, model: type[Any], depth: int = MAX_CALL_DEPTH) -> Iterator[str]:
    """Yield the names of attributes that a property or method of a model may read."""
    function = unwrap(_function_of(member))
    if not isfunction(function) or not depth:
        return
    for name in _names_in(function.__code__):
        yield name
        yield from attributes_read_by(getattr_static(model, name, None), model, depth - 1)


def _function_of(member: Any) -> Any:
    match member:
        case property():
            return member.fget
        case cached_property():
            return member.func
        case classmethod() | staticmethod():
            return member.__func__
    return member


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names in a function and its inner functions, and its strings, such as that of `getattr(self, "x")`."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):  # of a comprehension, generator or lambda
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield constant
