"""Rows of dumps, read from JSON objects and validated."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError, create_model
from pydantic import Field as PydanticField
from pydantic.fields import FieldInfo
from sqlalchemy import Table
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import class_mapper
from sqlalchemy.sql.elements import NamedColumn
from sqlmodel import SQLModel

from opportune.contrib.dumps.names import NaturalKeys, find_natural_references, find_table, is_natural
from opportune.errors import OperatorError

KEYS = {"model", "pk", "fields"}
WRONG_FORM = 'does not have the form {"model": …, "pk": …, "fields": {…}}'
PLACEHOLDER_ID = 1
WITH_ZONE: dict[Any, Any] = {datetime: AwareDatetime, datetime | None: AwareDatetime | None}
"""Types with a time zone, which SQLModel only enforces when it writes a row."""


@dataclass(frozen=True)
class DumpedObject:
    position: str
    """Position for messages, such as `file.json, object 3`."""
    value: Any


@dataclass(frozen=True)
class Reference:
    """Foreign key whose row is identified by its natural key."""

    column: str
    table: Table
    """Table of the referenced row."""
    natural_key: Any


@dataclass(frozen=True)
class DumpedRow:
    position: str
    """Position for messages, such as `file.json, object 3`."""
    table: Table
    values: dict[str, Any]
    references: Sequence[Reference]

    @property
    def lacks_id(self) -> bool:
        """Whether only a natural key identifies the row."""
        return not any(column.name in self.values for column in self.table.primary_key)


class RowReader:
    """Reader of objects.

    Args:
        tables: Tables by the name of their model in the JSON.
        models: Models of the tables.
        keys: Natural keys of the tables.
        generated: Columns by table that the database computes. Values for them are ignored.
    """

    def __init__(
        self,
        tables: Mapping[str, Table],
        models: Sequence[type[SQLModel]],
        keys: NaturalKeys,
        generated: Mapping[Table, Collection[str]],
    ) -> None:
        self._tables = tables
        self._keys = keys
        self._generated = generated
        self._references = {table: find_natural_references(table, keys) for table in tables.values()}
        self._models = {model.metadata.tables[str(model.__tablename__)]: model for model in models}
        self._validation_models: dict[Table, type[BaseModel]] = {}

    def read(self, item: DumpedObject) -> DumpedRow:
        """Return the validated row of an object, with a placeholder for each referenced row."""
        try:
            table, values = self._parse_object(item.value)
            references = [
                Reference(column, referred, values[column][0])
                for column, referred in self._references[table].items()
                if is_natural(values.get(column))
            ]
            values |= {reference.column: PLACEHOLDER_ID for reference in references}
            row = self._validation_model(table).model_validate_json(json.dumps(values)).model_dump(by_alias=True)
        except (ValidationError, ValueError, LookupError) as error:
            raise load_error(item.position, error_reason(error)) from None
        if "pk" not in item.value:
            for column in table.primary_key:
                del row[column.name]
        return DumpedRow(item.position, table, row, references)

    def _parse_object(self, value: Any) -> tuple[Table, dict[str, Any]]:
        """Return the table of an object, and the values of its stored columns."""
        if not isinstance(value, dict) or value.keys() | {"pk"} != KEYS or not isinstance(value["fields"], dict):
            raise ValueError(WRONG_FORM)
        table = find_table(self._tables, str(value["model"]))
        fields = value["fields"]
        if "pk" in value:
            fields = fields | _parse_key(table, value["pk"], fields)
        elif fields.get(self._keys.get(table, "")) is None:
            raise ValueError(WRONG_FORM)
        return table, {column: content for column, content in fields.items() if column not in self._generated[table]}

    def _validation_model(self, table: Table) -> type[BaseModel]:
        """Return the model, created on first use: creating all takes longer than loading a small dump."""
        if table not in self._validation_models:
            model = self._models[table]
            columns = {attribute.key: attribute.columns[0] for attribute in class_mapper(model).column_attrs}
            fields: dict[str, Any] = {
                name: _as_column(info, columns[name])
                for name, info in model.model_fields.items()
                if columns[name].name not in self._generated[table]
            }
            config = ConfigDict(extra="forbid", strict=True, val_json_bytes="base64")  # table models do not validate
            self._validation_models[table] = create_model(model.__name__, __config__=config, **fields)
        return self._validation_models[table]


def _parse_key(table: Table, key: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the primary key, which is a list if it has several columns."""
    columns = [column.name for column in table.primary_key]
    values = key if len(columns) > 1 else [key]
    if not isinstance(values, list) or len(values) != len(columns):
        raise ValueError(f"pk is not a list of {', '.join(columns)}")
    if misplaced := fields.keys() & set(columns):
        raise ValueError(f"{', '.join(misplaced)} belongs in pk")
    return dict(zip(columns, values, strict=True))


def _as_column(info: FieldInfo, column: NamedColumn[Any]) -> Any:
    """Return the annotation of a field under the name of its column, which an adopted table chooses."""
    has_zone = getattr(column.type, "timezone", False)
    annotation = WITH_ZONE.get(info.annotation, info.annotation) if has_zone else info.annotation
    return Annotated[annotation, info, PydanticField(alias=column.name)]


def load_error(position: str, reason: str) -> OperatorError:
    return OperatorError(f"{position}: {reason}. Nothing was loaded.")


def error_reason(error: Exception) -> str:
    """Return the first line, which contains no values."""
    if isinstance(error, ValidationError):
        details = error.errors(include_url=False, include_input=False)[0]
        return ": ".join(filter(None, (".".join(map(str, details["loc"])), details["msg"])))
    message = str(error.orig if isinstance(error, StatementError) else error.args[0])
    return message.splitlines()[0].removesuffix(".")
