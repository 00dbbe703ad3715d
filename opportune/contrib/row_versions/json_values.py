"""Values that versions keep of a row, as JSON and back."""

from decimal import Decimal
from functools import cache
from typing import Annotated, Any

from pydantic import ConfigDict, TypeAdapter
from pydantic_core import PydanticSerializationError
from sqlalchemy import inspect
from sqlalchemy.orm import Mapper

from opportune.crud.schema_fields import TIMESTAMPS
from opportune.db.models.columns import key_names_of
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.soft_delete import is_trash_column
from opportune.db.models.translation import ALL_LANGUAGES
from opportune.fields.files import file_columns_of


@cache
def versioned_columns(model: Any) -> frozenset[str]:
    """Return the columns that versions keep. Keys, secrets, files, time stamps and the trash are left out."""
    mapper: Mapper[Any] = inspect(model)
    left_out = {*key_names_of(mapper), *TIMESTAMPS, *file_columns_of(model)}
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
    # The decimal places that the database returns: 9 and 9.00 are the same value.
    scale = getattr(inspect(model).columns[name].type, "scale", None)
    scaled = round(value, scale) if scale and isinstance(value, Decimal) else value
    try:
        return _adapter(model, name).dump_python(scaled, mode="json", warnings=False, context=ALL_LANGUAGES)
    except PydanticSerializationError:
        return str(value)


def from_json(model: Any, name: str, value: Any) -> Any:
    """Return the value of a column."""
    return None if value is None else _adapter(model, name).validate_python(value)


@cache
def _adapter(model: Any, name: str) -> TypeAdapter[Any]:
    info = model.model_fields[name]
    annotation: Any = Annotated[info.annotation, *info.metadata] if info.metadata else info.annotation
    return TypeAdapter(annotation, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))
