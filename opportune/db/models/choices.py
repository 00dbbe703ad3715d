"""Choices of fields with an Enum or a Literal: their values, texts and labels."""

from enum import Enum, Flag
from functools import cache, lru_cache
from typing import Any, Literal, get_args, get_origin

from opportune.errors import OperatorError
from opportune.i18n import LazyText
from opportune.i18n.translation import DerivedLabel

MAX_COMBINED_FLAGS = 6
"""Maximum members of a Flag whose combinations a form offers. Others are numbers."""


def choices_of(model: type[Any], name: str) -> tuple[Any, ...]:
    """Return the values of an Enum or Literal field. Empty for other types, and for a Flag with too many members."""
    field = getattr(model, "model_fields", {}).get(name)
    if field is None or hasattr(get_origin(field.annotation), "keys"):  # of a mapping
        return ()
    for part in (field.annotation, *get_args(field.annotation)):
        if isinstance(part, type) and issubclass(part, Enum):
            return combinations_of(part) if issubclass(part, Flag) else tuple(part)
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


@cache
def combinations_of(flag: type[Flag]) -> tuple[Flag, ...]:
    """Return the values of a Flag: all combinations of its members. Empty if they are too many for a select."""
    if len(flag) > MAX_COMBINED_FLAGS:
        return ()
    if not len(flag):
        raise OperatorError(f"{flag.__name__} has no members.")
    values = [flag(0)]
    for member in flag:
        values += [value | member for value in values]
    return tuple(values)


def choice_value(value: Any) -> str:
    """Return the text of a choice in URLs and forms."""
    return str(value.value if isinstance(value, Enum) else value)


@lru_cache(4096, typed=True)
def choice_label(value: Any) -> LazyText:
    """Return the label of a choice: the property `label` of its Enum, if that is lazy. Pages translate it."""
    label = getattr(value, "label", None)
    if isinstance(label, LazyText):
        return label
    text = _names_of(value) if isinstance(value, Flag) else choice_value(value)
    return DerivedLabel(text.replace("_", " ").capitalize())


def _names_of(flags: Flag) -> str:
    return ", ".join(str(flag.name) for flag in flags) or "None"
