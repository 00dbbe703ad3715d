"""Options of field definitions, such as `unique` and `max=5`: parsing and validation."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from opportune.cli.scaffold.field_types import OPTIONS, WORDS_FOR_OPTIONS, Code
from opportune.cli.scaffold.fields import Field
from opportune.crud.types import MAX_INTEGER
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean

OPTIONS_WITH_VALUE = ("default", "min", "max")
TYPES_HINT = "See: python3 oppman.py addmodel --help"
NUMBER = r"-?\d+(\.\d+)?"
MAX_FIELD_LENGTH = 40
MAX_DIGITS = 14


def with_options(field: Field, options: Sequence[str]) -> Field:
    """Apply the options of a definition, such as `optional` and `default=draft`, to its field."""
    used: dict[str, str] = {}
    for option in filter(None, options):
        field = _with_option(field, option)
        name = option.partition("=")[0]
        if name not in field.spec.options:  # an option of this type only, such as a length
            name = field.type
        if name in used:
            raise OperatorError(f"{field.name}: {used[name]} and {option} set the same option. Omit one of them.")
        used[name] = option
    _check_combination(field)
    default = _default_code(field) if field.options.get("default") else None
    if field.spec.is_number:
        _check_numbers(field)
    return replace(field, requested_default=default) if default else field


def _with_option(field: Field, option: str) -> Field:
    name, equals, value = option.partition("=")
    if name in field.spec.options and bool(equals) == (name in OPTIONS_WITH_VALUE):
        if name in ("min", "max") and not re.fullmatch(NUMBER, value):
            raise OperatorError(f"{field.name}: {value!r} is not a number. Write {name}=1.")
        return replace(field, options={**field.options, name: value})
    if changed := _with_type_option(field, option):
        return changed
    if field.type == "owner" and option == "optional":
        raise OperatorError(
            f"{field.name}: every row has an owner, the user who adds it. "
            f"Write {field.name}:account:optional for an optional user."
        )
    word = WORDS_FOR_OPTIONS.get(option)
    hint = f" Did you mean {word}?" if word else did_you_mean(name, field.spec.options)
    raise OperatorError(f"{field.name}: {field.type} has no option {option!r}.{hint} {TYPES_HINT}")


def _with_type_option(field: Field, option: str) -> Field | None:
    """Apply an option of a single type, such as a length or a currency. Return None if the type has no such option."""
    match field.type:
        case "str" | "text" | "markdown" if option.isdecimal() and 0 < int(option) <= 1_000_000:
            return replace(field, length=int(option))
        case "decimal" if pair := re.fullmatch(r"(\d{1,2})[,.](\d{1,2})", option):
            digits = int(pair[1]), int(pair[2])
            return replace(field, digits=digits) if 1 <= digits[0] <= MAX_DIGITS and digits[1] <= digits[0] else None
        case "money" if re.fullmatch("[A-Z]{3}", option):
            return replace(field, currency=option)
        case "slug" if re.fullmatch("[a-z][a-z0-9_]*", option) and option not in OPTIONS:
            return replace(field, source=option)
        case "enum" if not field.choices:
            return replace(field, choices=_parse_choices(field.name, option))
    return None


def _parse_choices(name: str, text: str) -> list[str]:
    choices = [choice.strip() for choice in text.split(",") if choice.strip()]
    for choice in choices:
        if not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", choice) or len(choice) > MAX_FIELD_LENGTH:
            raise OperatorError(f"{name}: {choice!r} is not a choice. Use lowercase letters, digits, - and _.")
    if len(set(map(enum_member, choices))) < len(choices):
        raise OperatorError(f"{name}: two choices are the same. Remove one of them.")
    return choices


def enum_member(choice: str) -> str:
    """Return the name of an enum member: `not-yet` is `NOT_YET`. `mro` is reserved by classes and becomes `MRO_`."""
    name = choice.upper().replace("-", "_")
    return f"{name}_" if name == "MRO" else name


def _check_combination(field: Field) -> None:
    """Check options that depend on each other."""
    if field.is_translated and (refused := field.options.keys() & {"unique", "index"}):
        raise OperatorError(f"{field.name}: a translated field cannot be {min(refused)}. Omit one of both options.")
    if field.type == "enum" and not field.choices:
        raise OperatorError(f"'{field.name}:enum' has no choices. Write {field.name}:enum:draft,published.")
    default_length = len(field.options.get("default", ""))
    if field.length and default_length > field.length:
        raise OperatorError(
            f"{field.name}: the default has {default_length} characters, but the field allows {field.length}. "
            "Shorten the default."
        )


def _check_numbers(field: Field) -> None:
    """Check that the default is between `min=` and `max=`, and that a database can store all three."""
    texts = {name: field.options[name] for name in ("min", "default", "max") if field.options.get(name)}
    numbers = [(f"{name}={text}", Decimal(text)) for name, text in texts.items()]
    for option, number in numbers:
        if field.type == "int" and abs(number) > MAX_INTEGER:
            raise OperatorError(f"{field.name}: {option} is not between -{MAX_INTEGER} and {MAX_INTEGER}. Change it.")
    for (option, number), (next_option, next_number) in pairwise(numbers):
        if number > next_number:
            raise OperatorError(f"{field.name}: {option} is greater than {next_option}. Change one of them.")


def _default_code(field: Field) -> Code:
    text = field.options["default"]
    if text in field.choices:
        return Code(f"{field.enum}.{enum_member(text)}")
    if text in field.spec.computed:
        return field.spec.computed[text]
    try:
        value = field.spec.read(text) if field.spec.read else None
    except ValueError:  # Pydantic's errors are also of this type
        value = None
    if value is None or getattr(value, "tzinfo", None):
        raise OperatorError(f"{field.name}: {text!r} is not a valid default for {field.type}. Change or omit it.")
    if isinstance(value, str):
        return Code(json.dumps(value, ensure_ascii=False))
    imports = {("decimal", "Decimal")} if isinstance(value, Decimal) else frozenset()
    return Code(repr(value).removeprefix("datetime."), imports)
