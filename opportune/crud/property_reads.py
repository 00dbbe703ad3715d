"""Attributes that the properties and methods of a model read, found in their code without running it.

The result may contain too many names, such as those of global functions. It follows calls of other properties and
methods of the model, but not of functions in other places, and finds no names that the code puts together.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from functools import cached_property
from inspect import getattr_static, isfunction, unwrap
from types import CodeType
from typing import Any

from sqlalchemy.ext.associationproxy import AssociationProxy
from sqlalchemy.ext.hybrid import hybrid_method, hybrid_property

from opportune.db.models.columns import declaring_classes

PROPERTY_TYPES = (property, cached_property, hybrid_property, AssociationProxy)
NAME_IN_TEXT = re.compile(r"^\w+(?=$|\.)|(?<=[.{(\[])\w+")
"""A name in a text that reads attributes, such as `price`, `author.price`, `{0.price}` or `%(price)s`."""


def properties_of(model: type[Any]) -> Mapping[str, Any]:
    """Return the properties of a model by name, also cached, hybrid and inherited ones, and association proxies."""
    names = {name for class_ in declaring_classes(model) for name in vars(class_)}
    members = {name: getattr_static(model, name, None) for name in names}
    return {name: member for name, member in members.items() if isinstance(member, PROPERTY_TYPES)}


def attributes_read_by(member: Any, model: type[Any]) -> Collection[str]:
    """Return the names of attributes that a property or method of a model may read."""
    if isinstance(member, AssociationProxy):
        return [member.target_collection, member.value_attr]
    names: dict[str, None] = {}
    members = [member]
    while members:
        function = unwrap(_function_of(members.pop()))
        if isfunction(function):
            found = [name for name in _names_in(function.__code__) if name not in names]
            names.update(dict.fromkeys(found))
            members += [getattr_static(model, name, None) for name in found]
    return names


def _function_of(member: Any) -> Any:
    match member:
        case property() | hybrid_property():
            return member.fget
        case cached_property() | hybrid_method():
            return member.func
        case classmethod() | staticmethod():
            return member.__func__
    return member


def _names_in(code: CodeType) -> Iterator[str]:
    """Yield the names in a function, its inner functions and its texts, such as that of `getattr(self, "x")`."""
    yield from code.co_names
    constants = [*code.co_consts]
    for constant in constants:
        if isinstance(constant, CodeType):  # of a comprehension, generator or lambda
            yield from _names_in(constant)
        elif isinstance(constant, str):
            yield from NAME_IN_TEXT.findall(constant)
        elif isinstance(constant, tuple | frozenset):
            constants += constant
