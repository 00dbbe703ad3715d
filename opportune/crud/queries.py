"""Query parameters of a list, and the form with its filters."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, get_origin

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams

from opportune.crud.crud import Crud
from opportune.crud.query_schema import CURSOR
from opportune.pagination import Paging
from opportune.web.forms.controls import controls_of, to_machine_format
from opportune.web.forms.forms import Form
from opportune.web.forms.input_texts import LOCAL_TIME
from opportune.web.time_zone import to_utc


class FilterForm(Form[Any]):
    """The form with the filters of a list. Times are in the visitor's time zone, like the times in the rows."""

    is_in_utc = False


def to_machine_formats(crud: Crud[Any], params: QueryParams) -> QueryParams:
    """Convert numbers and dates from the visitor's format, because addresses are the same in all languages.

    Raises:
        RequestValidationError: A text is not a number. It also lists the other parameters that are not valid.
    """
    schema: type[BaseModel] = crud.Filter
    controls = controls_of(schema)
    converted: list[tuple[str, str]] = []
    errors: list[dict[str, Any]] = []
    for name, text in params.multi_items():
        try:
            value = to_machine_format(controls[name], text) if text and name in controls else text
        except ValueError as refusal:
            errors.append({"type": "value_error", "loc": ("query", name), "msg": str(refusal), "input": text})
        else:
            converted.append((name, value))
    if errors:
        try:
            read_query(crud, QueryParams(converted))
        except RequestValidationError as refusal:
            errors += refusal.errors()
        raise RequestValidationError(errors)
    return QueryParams(converted)


def read_query(crud: Crud[Any], params: QueryParams) -> Paging:
    """Read the query of a list.

    Raises:
        RequestValidationError: A parameter is unknown or its value is not valid.
    """
    texts = [(name, _add_time_zone(text)) for name, text in params.multi_items() if text]
    empty = [(name, "") for name in params if not any(params.getlist(name))]
    return validate_query(crud.Filter, QueryParams([*texts, *empty]))


def validate_query(schema: type[Paging], params: QueryParams) -> Paging:
    """Return the query of a list.

    Raises:
        RequestValidationError: The query is invalid.
    """
    fields = schema.model_fields
    values: dict[str, Any] = {}
    for name in params:
        texts = params.getlist(name)
        # Other names are aliases, or unknown, which the schema refuses.
        takes_list = get_origin(fields[name].annotation) is list if name in fields else len(texts) > 1
        values[name] = texts if takes_list else texts[-1]
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        errors = [{**details, "loc": ("query", *details["loc"])} for details in error.errors()]
        raise RequestValidationError(errors) from error


def describe_parameters(schema: type[Paging]) -> list[dict[str, Any]]:
    """Return the query parameters of a list for the OpenAPI document.

    FastAPI would read and validate each parameter of each request, also those that are not sent.
    """
    document = schema.model_json_schema()
    definitions = document.get("$defs", {})
    required = document.get("required", ())
    return [
        {"name": name, "in": "query", "required": name in required, "schema": _without_references(field, definitions)}
        for name, field in document["properties"].items()
    ]


def _without_references(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Return a JSON schema with its definitions in the place of their references."""
    if isinstance(schema, list):
        return [_without_references(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if reference := schema.get("$ref"):
        schema = {**definitions[reference.rpartition("/")[2]], **schema}
    return {name: _without_references(value, definitions) for name, value in schema.items() if name != "$ref"}


def _add_time_zone(text: str) -> str:
    """Add the visitor's time zone to a time without a zone."""
    if not LOCAL_TIME.fullmatch(text):
        return text
    try:
        return to_utc(datetime.fromisoformat(text)).isoformat()
    except ValueError:  # the schema reports the error
        return text


def visible_filters(crud: Crud[Any]) -> list[Sequence[str]]:
    """Return the query parameters of each filter: "from" and "to" for ordered values, "contains" for texts."""
    fields = crud.Filter.model_fields
    names = [name for name in (*crud.filters, *crud.definition.filter_methods) if name not in crud.hidden_names]
    return [[parameter for parameter in _parameters(name, fields) if parameter in fields] for name in names]


def _parameters(name: str, fields: Any) -> Sequence[str]:
    if f"{name}__gte" in fields:
        return [f"{name}__gte", f"{name}__lte"]
    return [f"{name}__icontains" if f"{name}__icontains" in fields else name]


def hidden_parameters(query: Paging, filters: Sequence[Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield name and value of the query parameters that have no visible field, for hidden inputs."""
    visible = {"q", "page", CURSOR, *(name for names in filters for name in names)}
    for name, value in query.model_dump(mode="json", exclude_unset=True, exclude_none=True).items():
        if name not in visible:
            items = value if isinstance(value, list) else [value]
            yield from ((name, str(item)) for item in items)
