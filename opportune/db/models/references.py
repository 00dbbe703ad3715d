"""Schema fields that hold ids of rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from opportune.db.models.row_ids import MAX_ID
from opportune.schemas.annotations import refusals_of

_Id = Annotated[int, Field(ge=1, le=MAX_ID), *refusals_of(int)]


@dataclass(frozen=True)
class Reference:
    """Annotation of a schema field that holds ids of a model.

    `Annotated[int, Reference(Author)]` is one id, `Annotated[list[int], Reference(Tag)]` are several. Numbers outside
    the range of ids are refused. It does not check that the row exists.
    """

    model: type[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(_with_limits(source))


def reference_of(field: FieldInfo) -> Reference | None:
    """Return the reference of a schema field, or None for a plain value."""
    return next(_find_references((*field.metadata, field.annotation)), None)


def _find_references(annotations: Iterable[Any]) -> Iterator[Reference]:
    """Find references also in nested annotations, such as `Annotated[int, Reference(Author)] | None`."""
    for annotation in annotations:
        if isinstance(annotation, Reference):
            yield annotation
        yield from _find_references(get_args(annotation))


def _with_limits(type_: Any) -> Any:
    if type_ is int:
        return _Id
    origin = get_origin(type_)
    if origin is None or (isinstance(origin, type) and issubclass(origin, Mapping)):  # values may be quantities
        return type_
    arguments = get_args(type_)
    if origin is Annotated:
        return Annotated[(_with_limits(arguments[0]), *arguments[1:])]
    limited = tuple(map(_with_limits, arguments))
    if origin in (Union, UnionType):
        return Union[limited]  # noqa: UP007 - the members are dynamic
    return origin[limited]
