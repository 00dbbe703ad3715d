"""Fields with an enum Flag, which take any combination of its members."""

import re
from enum import Flag
from functools import partial, reduce
from operator import or_
from typing import Annotated, Any, get_args

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from opportune.db.models.choices import choice_label, choice_value, combinations_of
from opportune.schemas.annotations import FieldOptions


def combinable(annotation: Any) -> Any:
    """Return the type of a field with any combination of members, if its annotation is a Flag."""
    members = get_args(annotation)
    if type(None) in members:
        return combinable(next(member for member in members if member is not type(None))) | None
    if not (isinstance(annotation, type) and issubclass(annotation, Flag)):
        return annotation
    choices = combinations_of(annotation)
    numbers = [choice.value for choice in choices]
    schema = {"type": "integer", **({"enum": numbers} if choices else {"minimum": 0, "maximum": _all_bits(annotation)})}
    labels = {choice_value(choice): choice_label(choice) for choice in choices}
    parse = PlainValidator(partial(_parse_flag, annotation))
    write = PlainSerializer(_number_of_flag, when_used="json")  # Python code gets the Flag
    return Annotated[annotation, parse, write, WithJsonSchema(schema), FieldOptions(labels)]


def _parse_flag(flag: type[Flag], value: Any) -> Any:
    number = _number_of_flag(value)
    if re.fullmatch(r"\d{1,19}", str(number)) and not int(number) & ~_all_bits(flag):
        return flag(int(number))
    choices = {"choices": ", ".join(str(choice_label(member)) for member in flag)}
    raise PydanticCustomError("flag_combination", "Choose a combination of {choices}.", choices)


def _number_of_flag(value: Any) -> Any:
    return value.value if isinstance(value, Flag) else value


def _all_bits(flag: type[Flag]) -> int:
    return int(reduce(or_, flag).value)
