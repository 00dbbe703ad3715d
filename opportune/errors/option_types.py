"""Checks of values by the annotations of the options that they are for."""

import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import cache
from inspect import iscoroutinefunction
from reprlib import Repr
from types import FunctionType, SimpleNamespace, UnionType
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError
from typing_extensions import Format, get_annotations

MAY_BE_AWAITABLE = re.compile(r"Awaitable|Coroutine|Task|Future|^(typing\.)?Any$")
"""Return annotations of plain functions that may return an awaitable."""
POSTPONED = {"ClassVar[bool]": bool, "ClassVar[int]": int, "ClassVar[str]": str}
"""Annotations of modules that postpone their evaluation. Others are not checked."""


class _ShortRepr(Repr):
    def repr_function(self, function: FunctionType, _level: int) -> str:
        return f"function {function.__name__}"


shortened = _ShortRepr().repr


def describe_mismatch(value: object, annotation: Any) -> str | None:
    """Return `needs Sequence[str], not 5`; None if the value has the annotated type and satisfies its constraints."""
    if type(value) is annotation:  # the usual case, without constraints
        return None
    if conforms(value, annotation):
        return _broken_constraint(value, annotation)
    if isinstance(value, str) and conforms((value,), annotation):
        return f"is a text. Write a tuple: ({value!r},)"
    plain = get_type_hints(SimpleNamespace(__annotations__={"": _type_of(annotation)}))[""]
    text = plain.__name__ if isinstance(plain, type) else re.sub("[a-z_]+[.]", "", str(plain))
    if "Callable" in text and _has_function(value):
        text = f"{'async' if 'Awaitable' in text else 'plain'} functions, {text}"
    return f"needs {text}, not {shortened(value)}"


def _has_function(value: object) -> bool:
    if isinstance(value, Mapping):
        value = value.values()
    items = value if isinstance(value, Collection) else (value,)
    return any(isinstance(item, FunctionType) for item in items)


def _broken_constraint(value: object, annotation: Any) -> str | None:
    """Return Pydantic's message about the first constraint that a value breaks; None if there is none."""
    if (validator := _validator_of(_type_of(annotation))) is None:
        return None
    try:
        validator.validate_python(value)
    except ValidationError as error:
        fault = error.errors()[0]
        if fault["type"] == "value_error":
            return str(fault["ctx"]["error"]).removesuffix(".")
        return f"{re.sub(r'^[A-Z][a-z]+ should', 'must', fault['msg'])}, not {shortened(fault['input'])}"
    return None


@cache
def _validator_of(annotation: Any) -> TypeAdapter[Any] | None:
    """Return a validator of the constraints in an annotation; None if it has none."""
    return TypeAdapter(annotation) if "Annotated[" in str(annotation) else None


def _type_of(annotation: Any) -> Any:
    annotation = POSTPONED.get(annotation, Any) if isinstance(annotation, str) else annotation
    return get_args(annotation)[0] if get_origin(annotation) is ClassVar else annotation


def conforms(value: Any, annotation: Any) -> bool:
    """Return whether a value has the type of an annotation. Annotations without a class are not checked."""
    annotation = _type_of(annotation)
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    origin = get_origin(annotation) or annotation
    arguments = get_args(annotation)
    if origin in (Union, UnionType):
        return any(conforms(value, argument) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if origin is type and isinstance(value, type) and arguments:
        return _is_subclass(value, arguments[0])
    if origin in (Mapping, dict) and isinstance(value, Mapping) and arguments:
        return all(all(map(conforms, pair, arguments)) for pair in value.items())
    if origin in (Sequence, Collection, list, tuple):
        return _is_collection_of(value, arguments, is_fixed=origin is tuple and Ellipsis not in arguments)
    may_return = origin is not Callable or not arguments or _may_return(value, arguments[1])
    return may_return and _is_instance(value, origin)


def _is_instance(value: Any, class_: Any) -> bool:
    if class_ is Any or not isinstance(class_, type):
        return True
    return isinstance(value, (int, float) if class_ is float else class_)


def _is_subclass(value: type[Any], annotation: Any) -> bool:
    base = get_origin(annotation) or annotation
    return base is Any or not isinstance(base, type) or issubclass(value, base)


def _may_return(function: Any, result: Any) -> bool:
    """Return whether a function is asynchronous as its annotation requires. A plain one may return an awaitable."""
    if not isinstance(function, FunctionType):
        return True
    if iscoroutinefunction(function):
        return result is Any or "Awaitable" in str(result)
    if get_origin(result) is not Awaitable or hasattr(function, "__wrapped__"):
        return True
    returned = get_annotations(function, format=Format.FORWARDREF).get("return", Any)
    return bool(MAY_BE_AWAITABLE.search(str(returned)))


def _is_collection_of(value: Any, types: Sequence[Any], *, is_fixed: bool) -> bool:
    """Return whether a value is a list with these types: one for each item if the length is fixed, else one for all."""
    if not isinstance(value, Collection) or isinstance(value, str | bytes | Mapping):
        return False
    if is_fixed:
        return len(value) == len(types) and all(map(conforms, value, types))
    return not types or all(conforms(item, types[0]) for item in value)
