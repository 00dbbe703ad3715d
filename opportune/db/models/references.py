"""Fields of schemas that name rows of a table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import Field, GetCoreSchemaHandler
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema

from opportune.db.models.model import MAX_ID

_Id = Annotated[int, Field(ge=1, le=MAX_ID)]


@dataclass(frozen=True)
class Reference:
    """Says whose ids a field of a schema holds.

    `Annotated[int, Reference(Author)]` is one, `Annotated[list[int], Reference(Tag)]` are several.
    A number that no row can have is refused; whether there is such a row, only the database knows.
    """

    model: type[Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return handler(_with_limits(source))


def reference_of(field: FieldInfo) -> Reference | None:
    """What a field of a schema refers to, or None where it is a plain value."""
    return next(_references((*field.metadata, field.annotation)), None)


def _references(parts: Iterable[Any]) -> Iterator[Reference]:
    """Also that of an annotation inside another, such as `Annotated[int, Reference(Author)] | None`."""
    for part in parts:
        if isinstance(part, Reference):
            yield part
        yield from _references(get_args(part))


def _with_limits(kind: Any) -> Any:
    if kind is int:
        return _Id
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return Union[tuple(map(_with_limits, parts))]  # noqa: UP007 - of parts that only the moment knows
    return origin[_with_limits(parts[0])] if origin in (list, set) else kind
