"""Instances of Pydantic models made of incomplete JSON."""

from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo


class _Nested(NamedTuple):
    model: type[BaseModel]
    is_list: bool


class PartialReader:
    """Reads incomplete data. Fields that are missing or not yet valid have their default, or None."""

    def __init__(self) -> None:
        self._adapters: dict[tuple[type[BaseModel], str], TypeAdapter[Any]] = {}

    def read(self, model: type[BaseModel], data: Mapping[str, Any]) -> BaseModel:
        values: dict[str, Any] = {}
        for name, field in model.model_fields.items():
            key = field.validation_alias if isinstance(field.validation_alias, str) else name
            if key in data:
                values[name] = self._read_field(model, name, field, data[key])
            elif field.is_required():
                values[name] = None
        return model.model_construct(**values)

    def _read_field(self, model: type[BaseModel], name: str, field: FieldInfo, value: object) -> Any:
        nested = _nested_model(field.annotation)
        if nested and nested.is_list and isinstance(value, list):
            return [self.read(nested.model, item) for item in value if isinstance(item, dict)]
        if nested and isinstance(value, dict):
            return self.read(nested.model, value)
        adapter = self._adapters.get((model, name))
        if adapter is None:
            annotated: Any = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
            adapter = self._adapters[model, name] = TypeAdapter(annotated)
        try:
            return adapter.validate_python(value, experimental_allow_partial=True)
        except ValidationError:
            return None


def _nested_model(annotation: object) -> _Nested | None:
    """Return the only model of a field, or of the items of its list."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _nested_model(arguments[0])
    if origin in (Union, UnionType):
        models = [nested for argument in arguments if (nested := _nested_model(argument))]
        return models[0] if len(models) == 1 else None
    if origin is list:
        nested = _nested_model(arguments[0])
        return _Nested(nested.model, is_list=True) if nested and not nested.is_list else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and not issubclass(annotation, RootModel):
        return _Nested(annotation, is_list=False)
    return None
