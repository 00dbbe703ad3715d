"""Schemas derived from a model, for creating, changing and reading rows."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    StringConstraints,
    WrapValidator,
    create_model,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticKnownError, PydanticUndefined
from sqlmodel.main import FieldInfoMetadata

from opportune.crud.declaration import Shape, shape_of
from opportune.crud.flags import combinable
from opportune.crud.registry import default_crud
from opportune.crud.schema_fields import SchemaOptions, nested_field_names, readable_names, writable_names
from opportune.crud.types import missing_limits
from opportune.db.models.choices import choices_of
from opportune.db.models.columns import is_json, python_type_of
from opportune.db.models.labels import label_of
from opportune.db.models.references import Reference
from opportune.db.models.translation import allow_single_texts
from opportune.schemas.annotations import FieldOptions, options_of, refusals_of
from opportune.web.forms.input_texts import JSON_TEXT, TEXT_LISTS

VALIDATORS = (AfterValidator, BeforeValidator, PlainValidator, WrapValidator, StringConstraints)
"""Annotations of Pydantic that check or change values."""
MAX_LINKS = 1_000
"""Maximum number of rows that one request can link to a row."""
CONFIG = ConfigDict(extra="forbid", defer_build=True)


def create_schema(prefix: str, shape: Shape, options: SchemaOptions) -> type[BaseModel]:
    fields = {name: _writable_field(shape, name) for name in writable_names(shape, options)}
    return _model(f"{prefix}Create", fields)


def update_schema(prefix: str, shape: Shape, options: SchemaOptions) -> type[BaseModel]:
    fields = {name: _optional(*_writable_field(shape, name)) for name in writable_names(shape, options)}
    return _model(f"{prefix}Update", fields)


def read_schema(prefix: str, shape: Shape, options: SchemaOptions) -> type[BaseModel]:
    fields = {name: _readable_field(shape, options, name) for name in readable_names(shape, options)}
    required = options.required
    return _model(f"{prefix}Read", fields, None if required is None else _require_only(required))


def refuse_fields(schema: type[BaseModel], names: Collection[str]) -> type[BaseModel]:
    """Return a schema that refuses requests with these fields."""
    type_ = Annotated[Any, BeforeValidator(_refuse)]
    refused: dict[str, Any] = {name: (type_, Field(default=None, validate_default=False)) for name in names}
    return create_model(schema.__name__, __base__=schema, __module__=__name__, **refused)


def _refuse(_value: object) -> None:
    raise PydanticKnownError("extra_forbidden")


def _model(
    name: str, fields: Mapping[str, Any], change: Callable[[dict[str, Any]], None] | None = None
) -> type[BaseModel]:
    config = CONFIG if change is None else CONFIG | {"json_schema_extra": change}
    return create_model(name, __config__=config, __module__=__name__, **fields)


def _require_only(names: Collection[str]) -> Callable[[dict[str, Any]], None]:
    """Mark only these fields as required in the OpenAPI document."""

    def change(schema: dict[str, Any]) -> None:
        schema["required"] = [name for name in schema["properties"] if name in names]

    return change


def _writable_field(shape: Shape, name: str) -> tuple[Any, FieldInfo]:
    if name in shape.links:
        type_: Any = Annotated[list[int], Reference(shape.links[name])]
        links: Any = Field(default_factory=list, max_length=MAX_LINKS, title=label_of(name))
        return type_, links
    info = _model_field(shape, name)
    column = shape.columns[name]
    default = _field_options(info)
    if target := shape.references.get(name):
        type_ = int | None if column.nullable else int
        metadata: list[Any] = [Reference(target), *_pydantic_metadata(info)]
        default["title"] = info.title or label_of(name)
    else:
        type_ = combinable(info.annotation)
        metadata = [*_pydantic_metadata(info), *missing_limits(column, info), *refusals_of(python_type_of(column))]
        if is_json(column) and not (options_of(info).type or choices_of(shape.model, name)):
            metadata.append(FieldOptions(type=JSON_TEXT, rows=6))
    return annotate(type_, metadata), Field(**default)


def _model_field(shape: Shape, name: str) -> FieldInfo:
    """Return the field of a model. For classes that are not SQLModels, derive it from the column."""
    if model_field := getattr(shape.model, "model_fields", {}).get(name):
        info: FieldInfo = model_field
        return info
    column = shape.columns[name]
    type_: Any = Any if is_json(column) else column.type.python_type
    return FieldInfo.from_annotation(type_ | None if column.nullable and type_ is not Any else type_)


@cache
def value_schema(model: type[Any], name: str) -> type[BaseModel]:
    """Return a schema with a single field `value` for the values of a column."""
    shape = shape_of(model)
    type_, field = _writable_field(shape, name)
    if is_json(shape.columns[name]) and options_of(_model_field(shape, name)).type not in TEXT_LISTS:
        type_ = Annotated[type_, FieldOptions(type=JSON_TEXT)]
    return _model(f"{model.__name__}{name.title()}", {"value": (type_, field)})


def _field_options(info: FieldInfo) -> dict[str, Any]:
    """Return the default and the texts of a field, for a field of another type."""
    options: dict[str, Any] = {
        "title": info.title,
        "description": info.description,
        "examples": info.examples,
        "json_schema_extra": info.json_schema_extra,
    }
    if info.default_factory is not None:
        return options | {"default_factory": info.default_factory}
    return options if info.default is PydanticUndefined else options | {"default": info.default}


def _pydantic_metadata(info: FieldInfo) -> Iterator[Any]:
    yield from (item for item in info.metadata if not isinstance(item, FieldInfoMetadata))


def annotate(type_: Any, metadata: Sequence[Any]) -> Any:
    return Annotated[(type_, *metadata)] if metadata else type_


def _optional(type_: Any, field: FieldInfo) -> tuple[Any, FieldInfo]:
    """Make a field optional. If a request leaves it out, the value stays unchanged."""
    options: dict[str, Any] = {"title": field.title, "description": field.description, "examples": field.examples}
    extra = _without_default(field.json_schema_extra)
    return allow_single_texts(type_), Field(default=None, json_schema_extra=extra, **options)


def _without_default(extra: Any) -> Any:
    def change(schema: dict[str, Any]) -> None:
        schema.pop("default", None)
        if callable(extra):
            extra(schema)
        else:
            schema.update(extra or {})

    return change


def _readable_field(shape: Shape, options: SchemaOptions, name: str) -> tuple[Any, FieldInfo]:
    if name in options.annotations:
        return options.annotations[name] | None, Field(title=label_of(name))
    if name in shape.to_one:
        relation = shape.to_one[name]
        type_: Any = nested_schema(relation.mapper.class_)
        (foreign_key,) = relation.local_columns
        return type_ | None if foreign_key.nullable else type_, Field()
    if name in shape.links:
        item_type: Any = nested_schema(shape.links[name]) if name in options.crud.nested else int
        return list[item_type], Field()
    info = shape.model.model_fields[name]
    metadata = [item for item in _pydantic_metadata(info) if not _validates(item)]
    return annotate(combinable(info.annotation), metadata), Field(title=info.title, description=info.description)


def _validates(item: Any) -> bool:
    """Return whether an annotation checks values, as limits of `annotated_types` do. Stored values are valid."""
    return isinstance(item, VALIDATORS) or type(item).__module__ == "annotated_types"


_nested: dict[type[Any], type[BaseModel]] = {}


def nested_schema(model: type[Any]) -> type[BaseModel]:
    """Return the schema of a row inside a response: its id and its title."""
    if model not in _nested:
        names = nested_field_names(shape_of(model))
        fields = {name: (model.model_fields[name].annotation, Field()) for name in names}
        _nested[model] = _model(f"{model.__name__}Nested", fields, _require_nested(model))
    return _nested[model]


def _require_nested(model: type[Any]) -> Callable[[dict[str, Any]], None]:
    """Mark only `id` as required if the rules of the model hide fields. All rules are known when OpenAPI is written."""

    def change(schema: dict[str, Any]) -> None:
        default = default_crud(model)
        if default and default.definition.field_rules.hides:
            _require_only({"id"})(schema)

    return change
