"""Arguments of jobs: JSON values in the database, and values of the annotated types in the function."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cached_property
from inspect import Parameter, Signature, signature
from itertools import chain, repeat
from math import isfinite
from typing import Any

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeAdapter, ValidationError
from pydantic_core import to_jsonable_python
from typing_extensions import Format

SIGNATURE_FORMAT: dict[str, Any] = {} if sys.version_info < (3, 14) else {"annotation_format": Format.FORWARDREF}
"""Option of `signature` with which annotations may be names that only type checkers import."""

COLLECTIONS = (Mapping, list, tuple, set, frozenset)
"""Types of which a job may get another one, such as a list for a tuple that is annotated as a `Sequence`."""


class JobArguments:
    """Conversion of the arguments of a function, whose first parameter is the context of the job."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def store(self, arguments: Sequence[Any], keywords: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the JSON values of a call.

        Raises:
            TypeError: An argument is missing, unknown or of another type, or cannot be stored.
        """
        bound = self._signature.bind(None, *arguments, **keywords)
        if bound.kwargs:
            raise TypeError(f"{', '.join(bound.kwargs)} must not be keyword-only, to be stored")
        return tuple(self._store(parameter, value) for parameter, value in self._named(bound.args[1:]))

    def read(self, stored: Sequence[Any]) -> list[Any]:
        """Return the arguments of the function.

        Raises:
            TypeError: The function has other parameters than when the job was queued.
        """
        arguments = self._signature.bind(None, *stored).args[1:]
        return [self._convert(parameter, value) for parameter, value in self._named(arguments)]

    @cached_property
    def _signature(self) -> Signature:
        try:
            return signature(self._function, eval_str=True)
        except NameError:  # annotations of `if TYPE_CHECKING`, whose values stay JSON
            return signature(self._function, **SIGNATURE_FORMAT)

    @cached_property
    def _adapters(self) -> Mapping[str, TypeAdapter[Any] | None]:
        return {parameter.name: _make_adapter(parameter) for parameter in self._parameters}

    @property
    def _parameters(self) -> Sequence[Parameter]:
        """The parameters after the context."""
        return [*self._signature.parameters.values()][1:]

    def _named(self, values: Iterable[Any]) -> Iterable[tuple[Parameter, Any]]:
        """Return values with their parameters, of which `*names` takes all that are left."""
        parameters = (repeat(each) if each.kind is Parameter.VAR_POSITIONAL else (each,) for each in self._parameters)
        return zip(chain.from_iterable(parameters), values, strict=False)

    def _store(self, parameter: Parameter, value: Any) -> Any:
        converted = self._convert(parameter, value)
        stored = _to_json(parameter.name, converted)
        restored = self._convert(parameter, stored)
        may_differ = self._adapters[parameter.name] is None or isinstance(converted, COLLECTIONS)
        if not may_differ and type(restored) is not type(converted):
            types = f"{type(converted).__name__}, which the job would get as {type(restored).__name__}"
            raise TypeError(f"{parameter.name} is {types}. Annotate it with the type of its value")
        return stored

    def _convert(self, parameter: Parameter, value: Any) -> Any:
        adapter = self._adapters[parameter.name]
        if adapter is None:
            return value
        try:
            return adapter.validate_python(value)
        except ValidationError as error:  # without the value, which may be secret
            raise TypeError(f"{parameter.name}: {error.errors()[0]['msg']}") from None


def _make_adapter(parameter: Parameter) -> TypeAdapter[Any] | None:
    """Return the conversion of an argument; None if its annotation has none."""
    if parameter.annotation in (Parameter.empty, Any, object) or isinstance(parameter.annotation, str):
        return None
    try:
        return TypeAdapter(parameter.annotation)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return None


def _to_json(name: str, value: Any) -> Any:
    for part in _parts(value):
        if hasattr(type(part), "__table__"):
            raise TypeError(f"{name} is a row. Queue its key, because the row may change before the job runs")
        if hasattr(part, "get_secret_value"):
            raise TypeError(f"{name} is secret. Queue the key of its row, because arguments are stored as text")
    try:
        stored = to_jsonable_python(value)
    except ValueError:
        raise TypeError(f"{name} is no JSON value, but {type(value).__name__}") from None
    if not all(isfinite(part) for part in _parts(stored) if isinstance(part, float)):
        raise TypeError(f"{name} is no JSON value, because a number is not finite")
    return stored


def _parts(value: Any) -> Iterator[Any]:
    """Return the value, or those that it contains."""
    if isinstance(value, BaseModel) and not hasattr(value, "__table__"):
        value = vars(value) | (value.model_extra or {})  # models may have their own `__iter__`
    elif is_dataclass(value) and not isinstance(value, type):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = [*value.values()]
    if isinstance(value, COLLECTIONS):
        for part in value:
            yield from _parts(part)
    else:
        yield value
