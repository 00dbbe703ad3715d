"""Values of a version: the columns of a row as JSON."""

from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from opportune.db.models.columns import is_secret, key_names_of
from opportune.db.models.soft_delete import is_trash_column
from opportune.db.models.translated import ALL_LANGUAGES
from opportune.fields.files import file_columns_of

AUTOMATIC_COLUMNS = {"created_at", "updated_at", "modified_at"}


@cache
def versioned_columns(model: Any) -> frozenset[str]:
    """Return the columns that versions keep. Keys, secrets, files, time stamps and the trash are left out."""
    mapper: Mapper[Any] = inspect(model)
    left_out = {*key_names_of(mapper), *AUTOMATIC_COLUMNS, *file_columns_of(model)}
    names = (attribute.key for attribute in mapper.column_attrs)
    return frozenset(
        name for name in names if name not in left_out and not (is_secret(name) or is_trash_column(model, name))
    )


def stored_values(row: Any) -> dict[str, Any]:
    """Return the loaded values of a row as JSON."""
    model: Any = type(row)
    loaded = inspect(row).dict
    return {name: to_json(model, name, loaded[name]) for name in sorted(versioned_columns(model)) if name in loaded}


def to_json(model: Any, name: str, value: Any) -> Any:
    if value is None:
        return None
    try:
        scaled = _with_scale(model, name, value)
        return _adapter(model, name).dump_python(scaled, mode="json", warnings=False, context=ALL_LANGUAGES)
    except PydanticSerializationError:
        return str(value)


def _with_scale(model: Any, name: str, value: Any) -> Any:
    """Return a number with the decimal places that the database returns: 9 and 9.00 are the same value."""
    scale = getattr(inspect(model).columns[name].type, "scale", None)
    return round(value, scale) if scale and isinstance(value, Decimal) else value


def from_json(model: Any, name: str, value: Any) -> Any:
    """Return the value of a column. Raises `pydantic.ValidationError` if it is no longer valid."""
    return None if value is None else _adapter(model, name).validate_python(value)


@cache
def _adapter(model: Any, name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    annotation: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(annotation, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))


def find_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return [before, after] of each value that differs."""
    names = [*dict.fromkeys((*after, *before))]
    pairs = {name: [before.get(name), after.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
