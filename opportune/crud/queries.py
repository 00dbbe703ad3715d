"""The query of a list's page: read from the address, and as the form that asks for it."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import QueryParams

from opportune.crud.crud import Crud
from opportune.pagination import Paging
from opportune.web.forms.forms import WITHOUT_ZONE, Form
from opportune.web.time_zone import moment_in


class FilterForm(Form[Any]):
    """The filters of a list's page. Times are in the visitor's time zone, like those of the rows."""

    is_in_utc = False


def read_query(crud: Crud[Any], sent: QueryParams) -> Paging:
    """Read the query of a list.

    Raises:
        RequestValidationError: a parameter is unknown or its value is not valid.
    """
    fields = crud.Filter.model_fields
    values: dict[str, Any] = {}
    for name in sent:
        filled = [_in_zone(value) for value in sent.getlist(name) if value]
        is_several = name in fields and is_list(fields[name].annotation)
        values[name] = filled if is_several else (filled or [""])[-1]
    try:
        query: Paging = crud.Filter.model_validate(values)
    except ValidationError as error:
        faults = [{**fault, "loc": ("query", *fault["loc"])} for fault in error.errors()]
        raise RequestValidationError(faults) from error
    return query


def _in_zone(value: str) -> str:
    """A time of a form is in the visitor's time zone, like the times of the rows."""
    if not WITHOUT_ZONE.fullmatch(value):
        return value
    try:
        return moment_in(datetime.fromisoformat(value)).isoformat()
    except ValueError:  # the schema refuses it
        return value


def is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is list


def shown_filters(crud: Crud[Any]) -> list[Sequence[str]]:
    """The parameters that the form of a list asks for: of what has an order from and to, of a text what it contains."""
    fields = crud.Filter.model_fields
    names = [name for name in (*crud.filters, *crud.definition.own_filters) if name not in crud.hidden_names]
    return [[each for each in _asked(name, fields) if each in fields] for name in names]


def _asked(name: str, fields: Any) -> Sequence[str]:
    if f"{name}__gte" in fields:
        return f"{name}__gte", f"{name}__lte"
    return (f"{name}__icontains",) if f"{name}__icontains" in fields else (name,)


def hidden_parameters(wanted: Paging, shown: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """What the address asks besides, for fields that nobody sees."""
    visible = {"q", "page", *(name for names in shown for name in names)}
    for name, value in wanted.model_dump(mode="json", exclude_unset=True, exclude_none=True).items():
        if name not in visible:
            yield from ((name, str(one)) for one in (value if isinstance(value, list) else [value]))
