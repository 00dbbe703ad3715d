"""Options of field definitions, such as `unique` and `max=5`: parsing and validation."""

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from opportune.cli.scaffold.code import Code
from opportune.cli.scaffold.field_types import OWNERS, TYPES_WITH_DEFAULT, WORDS_FOR_OPTIONS, Field
from opportune.crud.types import MAX_INTEGER
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean

OPTIONS = ("unique", "index", "optional", "translated", "default=", "min=", "max=", "cascade")
TRANSLATABLE_TYPES = ("str", "text", "markdown")
TYPES_HINT = "See: python3 oppman.py addmodel --help"
NUMBER = r"-?\d+(\.\d+)?"
MAX_FIELD_LENGTH = 40
MAX_DIGITS = 14


def with_options(field: Field, options: Sequence[str]) -> Field:
    """Apply the options of a definition, such as `optional` and `default=draft`, to its field.

    Raises:
        OperatorError: An option is unknown, or does not fit the type or the other options.
    """
    for option in filter(None, options):
        field = _with_option(field, option)
    _check_combination(field)
    if field.type == "decimal" and not field.digits[0]:
        field = replace(field, digits=(MAX_DIGITS, 2))
    if not field.default:
        return field
    _check_limits(field)
    return replace(field, default_code=_default_code(field))


def _with_option(field: Field, option: str) -> Field:
    name, equals, value = option.partition("=")
    if equals and name in ("min", "max") and field.spec.is_number:
        if not re.fullmatch(NUMBER, value):
            raise OperatorError(f"{field.name}: {value!r} is not a number. Write {name}=1.")
        return replace(field, minimum=value) if name == "min" else replace(field, maximum=value)
    if name == "default" and equals and field.spec.default_code:
        return replace(field, default=value)
    if option == "optional" and field.type in ("image", "file"):
        return field  # always optional
    if option in ("unique", "index", "optional") or (option == "translated" and field.type in TRANSLATABLE_TYPES):
        _check_option(field, option)
        return replace(field, options=field.options | {option})
    if option == "cascade" and field.type == "reference":
        return replace(field, options=field.options | {option})
    if changed := _with_type_option(field, option):
        return changed
    other_options = [other for other in OPTIONS if other != f"{name}="]  # this option is for other types
    word = WORDS_FOR_OPTIONS.get(option)
    hint = f" Did you mean {word}?" if word else did_you_mean(option, other_options)
    raise OperatorError(f"{field.name}: {field.type} has no option {option!r}.{hint} {TYPES_HINT}")


def _check_option(field: Field, option: str) -> None:
    if option == "unique" and field.type in (*TYPES_WITH_DEFAULT, "many", *OWNERS):
        raise OperatorError(f"{field.name}: {field.type} cannot be unique. Omit `unique`.")
    if option == "index" and field.type in (*TYPES_WITH_DEFAULT, "many", *OWNERS, "reference", "text", "markdown"):
        raise OperatorError(f"{field.name}: {field.type} cannot have an extra index. Omit `index`.")
    if option == "optional" and field.type == "owner":
        raise OperatorError(
            f"{field.name}: every row has an owner, the user who adds it. "
            f"Write {field.name}:account:optional for an optional user."
        )
    if option == "optional" and not field.is_required:
        raise OperatorError(f"{field.name}: {field.type} is never required. Omit `optional`.")


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
        case "slug" if re.fullmatch("[a-z][a-z0-9_]*", option):
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
    if field.is_translated and (refused := field.options & {"unique", "index"}):
        raise OperatorError(f"{field.name}: a translated field cannot be {min(refused)}. Omit one of both options.")
    if field.type == "enum" and not field.choices:
        raise OperatorError(f"'{field.name}:enum' has no choices. Write {field.name}:enum:draft,published.")
    if field.minimum and field.maximum and Decimal(field.minimum) > Decimal(field.maximum):
        raise OperatorError(
            f"{field.name}: min={field.minimum} is greater than max={field.maximum}. Change one of them."
        )
    for limit in filter(None, (field.minimum, field.maximum)):
        if field.type == "int" and abs(Decimal(limit)) > MAX_INTEGER:
            raise OperatorError(f"{field.name}: {limit} is not between -{MAX_INTEGER} and {MAX_INTEGER}. Change it.")
    if field.length and len(field.default) > field.length and field.spec.annotation in ("Line", "Text"):
        raise OperatorError(
            f"{field.name}: the default has {len(field.default)} characters, but the field allows {field.length}. "
            "Shorten the default."
        )


def _check_limits(field: Field) -> None:
    """Check that a default which is a number is between `min=` and `max=`."""
    if not re.fullmatch(NUMBER, field.default):
        return
    too_small = field.minimum and Decimal(field.default) < Decimal(field.minimum)
    if too_small or (field.maximum and Decimal(field.default) > Decimal(field.maximum)):
        limit = f"less than min={field.minimum}" if too_small else f"greater than max={field.maximum}"
        raise OperatorError(f"{field.name}: default={field.default} is {limit}. Change one of them.")


def _default_code(field: Field) -> Code:
    message = f"{field.name}: {field.default!r} is not a valid default for {field.type}. Change or omit it."
    if field.default in field.choices:
        return Code(f"{field.enum}.{enum_member(field.default)}")
    if field.type == "enum" or not field.spec.default_code:
        raise OperatorError(message)
    try:
        return field.spec.default_code(field.default)
    except (ValueError, KeyError, ArithmeticError):
        raise OperatorError(message) from None
