"""Computes the changes of a row for the audit log: old and new value by column, as JSON."""

import json
import math
from collections.abc import Mapping
from datetime import date, time
from enum import Enum
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState

from opportune.db.models.columns import is_secret
from opportune.db.models.translated import TranslatedText

HIDDEN = "(not shown)"
MAX_VALUE_LENGTH = 500
EMPTY_VALUES = (None, "")

Changes = dict[str, Any]
Values = Mapping[str, Any]


def snapshot(row: Any) -> Values:
    """Return the loaded column values without the primary key. Reading an unloaded value would query the database."""
    state: InstanceState[Any] = inspect(row)
    keys = {column.key for column in state.mapper.primary_key}
    names = [attribute.key for attribute in state.mapper.column_attrs if attribute.key not in keys]
    return {name: state.dict[name] for name in names if name in state.dict}


def diff_edited(before: Values, row: Any) -> Changes:
    after = snapshot(row)
    return diff_values({name: value for name, value in before.items() if name in after}, after)


def diff_deleted(row: Any) -> Changes:
    return diff_values(snapshot(row), {})


def diff_values(before: Values, after: Values) -> Changes:
    """Return [old, new] for each value that differs. Secrets are replaced by `(not shown)`."""
    pairs = {name: (before.get(name), after.get(name)) for name in {**before, **after}}
    return {
        name: [_loggable(name, old), _loggable(name, new)]
        for name, (old, new) in pairs.items()
        if old != new and not (old in EMPTY_VALUES and new in EMPTY_VALUES)
    }


def _loggable(name: str, value: Any) -> Any:
    if value in EMPTY_VALUES:
        return value
    return HIDDEN if is_secret(name) else _to_json(value)


def format_texts(texts: Mapping[str, Any]) -> str:
    """Return texts by language as lines."""
    return "\n".join(f"{code}: {text}" for code, text in sorted(texts.items()))


def _to_json(value: Any) -> Any:
    if isinstance(value, Enum):
        return _to_json(value.value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, TranslatedText):
        value = format_texts(value.texts)
    if isinstance(value, dict | list):
        value = json.dumps(value, default=str, ensure_ascii=False)
    text = value.isoformat() if isinstance(value, date | time) else str(value)
    return text if len(text) <= MAX_VALUE_LENGTH else f"{text[: MAX_VALUE_LENGTH - 1]}…"


def differs(before: Any, after: Any) -> bool:
    """Return whether a value has changed. The order of a list does not matter."""
    if isinstance(after, list) and isinstance(before, list):
        return sorted(map(str, before)) != sorted(map(str, after))
    return bool(before != after)
