"""Checks of values by the annotations of the options that they are for."""

import re
from collections.abc import Collection, Mapping, Sequence
from reprlib import repr as shortened
from types import UnionType
from typing import Any, ClassVar, Literal, Union, get_args, get_origin

POSTPONED = {"ClassVar[bool]": bool, "ClassVar[int]": int, "ClassVar[str]": str}
"""Annotations of modules that postpone their evaluation. Others are not checked."""


def describe_mismatch(value: object, annotation: Any) -> str:
    """Return `needs Sequence[str], not 5`; empty if the value has the annotated type."""
    if conforms(value, annotation):
        return ""
    if isinstance(value, str) and conforms((value,), annotation):
        return f"is a text. Write a tuple: ({value!r},)"
    text = annotation.__name__ if isinstance(annotation, type) else re.sub(r"ClassVar\[(.*)\]", r"\1", str(annotation))
    return f"needs {re.sub('[a-z_]+[.]', '', text)}, not {shortened(value)}"


def conforms(value: Any, annotation: Any) -> bool:
    """Return whether a value has the type of an annotation. Annotations without a class are not checked."""
    annotation = POSTPONED.get(annotation, Any) if isinstance(annotation, str) else annotation
    origin, arguments = get_origin(annotation) or annotation, get_args(annotation)
    if origin in (Union, UnionType, ClassVar):
        return any(conforms(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is type and isinstance(value, type):
        base = get_origin(arguments[0]) or arguments[0]
        return base is Any or not isinstance(base, type) or issubclass(value, base)
    if origin in (Mapping, dict) and isinstance(value, Mapping) and arguments:
        return all(all(map(conforms, pair, arguments)) for pair in value.items())
    if origin in (Sequence, Collection, list, tuple):
        is_list = isinstance(value, Collection) and not isinstance(value, str | bytes | Mapping)
        is_fixed = origin is tuple and Ellipsis not in arguments
        types = arguments if is_fixed or not is_list else (arguments or (Any,))[:1] * len(value)
        return is_list and len(value) == len(types) and all(map(conforms, value, types))
    class_ = int | float if origin is float else origin
    return origin is Any or not isinstance(origin, type) or isinstance(value, class_)
