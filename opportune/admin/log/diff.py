"""Computes the changes of a row for the audit log: old and new value by column, as JSON."""

import json
import math
from collections.abc import Mapping
from datetime import date, time
from enum import Enum
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import InstanceState

from opportune.db.models.columns import key_names_of
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.translated import TranslatedText
from opportune.schemas.text import shorten

HIDDEN = "(not shown)"
"""Text in place of a secret."""
MAX_VALUE_LENGTH = 500
"""Characters of a logged text. A longer one is cut, so it cannot be restored."""
EMPTY_VALUES = (None, "")
"""Values that count as equal, because a form cannot tell them apart."""

Changes = dict[str, Any]
"""[old, new] by column."""
Values = Mapping[str, Any]
"""Values of a row by column."""


def snapshot(row: Any) -> Values:
    """Return the loaded column values without the primary key. Reading an unloaded value would query the database."""
    state: InstanceState[Any] = inspect(row)
    names = [item.key for item in state.mapper.column_attrs if item.key not in key_names_of(state.mapper)]
    return {name: state.dict[name] for name in names if name in state.dict}


def diff_edited(before: Values, row: Any) -> Changes:
    """Return the changes of a row since a snapshot, without columns that are no longer loaded."""
    after = snapshot(row)
    return diff_values({name: before[name] for name in before if name in after}, after)


def diff_deleted(row: Any) -> Changes:
    return diff_values(snapshot(row), {})


def diff_values(before: Values, after: Values) -> Changes:
    """Return the values that differ. A missing value counts as None."""
    changes: Changes = {}
    for name in {**before, **after}:
        old = before.get(name)
        new = after.get(name)
        are_both_empty = old in EMPTY_VALUES and new in EMPTY_VALUES
        if old != new and not are_both_empty:
            changes[name] = [_to_logged(name, old), _to_logged(name, new)]
    return changes


def _to_logged(name: str, value: Any) -> Any:
    if value in EMPTY_VALUES:
        return value
    return HIDDEN if is_secret(name) else _to_json(value)


def _to_json(value: Any) -> Any:
    """Return the value itself if it is a number in JSON, else its text."""
    if isinstance(value, Enum):
        return _to_json(value.value)
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return shorten(_to_text(value), MAX_VALUE_LENGTH)


def _to_text(value: Any) -> str:
    match value:
        case bytes():
            return f"{len(value):,} bytes"
        case TranslatedText():
            return format_texts(value.texts)
        case dict() | list():
            return json.dumps(value, default=str, ensure_ascii=False)
        case date() | time():
            return value.isoformat()
    return str(value)


def format_texts(texts: Mapping[str, Any]) -> str:
    return "\n".join(f"{code}: {text}" for code, text in sorted(texts.items()))
