"""Conversions of values between SQLite, PostgreSQL, Python and a canonical form for comparison."""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from decimal import MAX_PREC, Context, Decimal
from functools import partial
from typing import Any

from sqlalchemy import JSON, Column, Dialect, Table, TypeDecorator
from sqlalchemy.types import TypeEngine

from opportune.db.models.translated import is_translated

Convert = Callable[[Any], Any]
Converters = Mapping[int, Convert]
"""Converters by position of the column. Other columns are not converted."""

EXACT_CONTEXT = Context(prec=MAX_PREC)


def find_loaders(table: Table, dialect: Dialect, type_codes: Iterable[int | None]) -> Converters:
    """Return converters from the driver's types to those of Python."""
    return _index_by_position(
        _json_text if is_json(column) else column.type.dialect_impl(dialect).result_processor(dialect, code)
        for column, code in zip(table.columns, type_codes, strict=False)
    )


def _json_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value  # SQLite has converted it to a number


def find_storers(table: Table, dialect: Dialect) -> Converters:
    """Return converters from Python's types to those of the driver."""
    return _index_by_position(
        None if is_json(column) else column.type.dialect_impl(dialect).bind_processor(dialect)
        for column in table.columns
    )


def find_canonical_converters(table: Table) -> Converters:
    """Return converters for values with several forms: order of JSON keys, trailing zeros, time zone (always UTC)."""
    return _index_by_position(
        _sort_json_keys if is_json(column) else _canonical_form(python_type(column.type)) for column in table.columns
    )


def _index_by_position(converters: Iterable[Convert | None]) -> Converters:
    return {position: convert for position, convert in enumerate(converters) if convert}


def _sort_json_keys(text: Any) -> Any:
    if text is None:
        return None
    return json.dumps(json.loads(text, parse_int=_to_decimal, parse_float=_to_decimal), sort_keys=True, default=repr)


def _to_decimal(number: str | Decimal) -> Decimal:
    return Decimal(number).normalize(EXACT_CONTEXT) or Decimal(0)  # removes the sign of -0


def _canonical_form(type_: type) -> Convert | None:
    if type_ is dict:  # custom types on top of JSON
        return partial(json.dumps, sort_keys=True, default=repr)
    if type_ in (float, Decimal):
        return _canonical_number
    return _without_zone if type_ is datetime else None


def _canonical_number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _to_decimal(value)
    return None if value is None else value + 0.0  # SQLite does not store the sign of -0.0


def _without_zone(value: Any) -> Any:
    return None if value is None else value.replace(tzinfo=None)


def is_json(column: Column[Any]) -> bool:
    """Return True for JSON, which is copied as text: drivers do not distinguish JSON's null from NULL."""
    return isinstance(column.type, JSON) or is_translated(column)


def python_type(type_: TypeEngine[Any]) -> type:
    if type_.python_type is object and isinstance(type_, TypeDecorator):
        return python_type(type_.impl_instance)
    return type_.python_type
