"""Field definitions of the command line, such as `title:str:120:unique`: parsing and validation."""

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from opportune.cli.scaffold.code import Code
from opportune.cli.scaffold.existing_models import ACCOUNT, ExistingModels
from opportune.cli.scaffold.field_types import (
    ALIASES,
    FIELD_TYPES,
    OWNERS,
    TIMESTAMPS,
    TYPES_WITH_DEFAULT,
    WORDS_FOR_OPTIONS,
    WORDS_FOR_REFERENCES,
    Field,
)
from opportune.cli.scaffold.words import camel
from opportune.crud.types import MAX_INTEGER
from opportune.db.models import columns
from opportune.db.models.model import Model
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.optional_features import how_to_list

OPTIONS = ("unique", "index", "optional", "translated", "default=", "min=", "max=", "cascade")
TRANSLATABLE_TYPES = ("str", "text", "markdown")
TYPES_HINT = "See: python3 oppman.py addmodel --help"
NUMBER = r"-?\d+(\.\d+)?"
MAX_FIELD_LENGTH = 40
MAX_DIGITS = 14
RESERVED_NAMES = {*dir(builtins), "date", "datetime", "time", "metadata", "registry", "id", "keeps_history"}
"""Field names that would shadow names in a model, or that SQLModel reserves."""
IMPORTED_NAMES = {"Field", "Model", "ModelBase", "Relationship", "StrEnum", "User"}
IMPORTED_NAMES |= {field_type.annotation for field_type in FIELD_TYPES.values()}
"""Class names that a models.py may import."""
MIXIN_NAMES = {
    "SoftDelete": {"deleted", "deleted_at", "deleted_by_id", "keep_deleted_days"},
    "Versioned": {"keep_version_days"},
}
"""Names in models with a mixin. `deleted` is the query parameter that lists the trash."""
LIST_PARAMETERS = {"q", "sort", "page", "size"}
"""Query parameters of lists that are not filters."""


def parse_fields(definitions: Sequence[str], feature: str, model: str, models: ExistingModels) -> list[Field]:
    """Parse the field definitions of a command.

    Raises:
        OperatorError: a name, type, option or referenced model is invalid.
    """
    fields = [_parse_field(definition, feature, model, models) for definition in definitions]
    if not fields:
        raise OperatorError(f"A model needs at least one field, such as title:str. {TYPES_HINT}")
    names = [name for field in fields for name in {field.name, field.column}]
    if duplicate := next((name for name in names if names.count(name) > 1), None):
        raise OperatorError(f"Two fields are called {duplicate!r}. Remove one of them.")
    if len([field for field in fields if field.type in OWNERS]) > 1:
        raise OperatorError("A row has one owner, a user or a team. Remove the other owner fields.")
    return [_with_slug_source(field, fields) if field.type == "slug" else field for field in fields]


def _parse_field(definition: str, feature: str, model: str, models: ExistingModels) -> Field:
    name, *parts = _split_definition(definition)
    if not parts and name in (*OWNERS, *TIMESTAMPS):
        parts = [name]
    check_field_name(name)
    if not parts:
        raise OperatorError(f"{definition!r} has no type. Write {name}:str or another type. {TYPES_HINT}")
    type_, *options = parts
    _refuse_other_notations(definition, name, type_, models)
    if type_[:1].isupper() or "." in type_ or type_ == "many":
        return _parse_reference(name, type_, options, feature, model, models)
    if type_ == "account":
        return _with_options(Field(name.removesuffix("_id"), "reference", target=ACCOUNT), options)
    type_ = ALIASES.get(type_, type_)
    _check_type(definition, name, type_, models)
    name = name.removesuffix("_id") if type_ in OWNERS else name
    is_used = camel(name) in {model, *IMPORTED_NAMES, *models.names_in(feature)}
    prefix = model if type_ == "enum" and is_used else ""
    return _with_options(Field(name, type_, length=FIELD_TYPES[type_].length or 0, prefix=prefix), options)


def _check_type(definition: str, name: str, type_: str, models: ExistingModels) -> None:
    if type_ not in FIELD_TYPES:
        hint = did_you_mean(type_, [*FIELD_TYPES, "account", *ALIASES])
        raise OperatorError(f"{definition!r}: unknown type {type_!r}.{hint} {TYPES_HINT}")
    if type_ in TIMESTAMPS and name != type_:
        raise OperatorError(f"{definition!r}: a field of this type must be called {type_}. Or write {name}:datetime.")
    if type_ == "team":
        _check_team(definition, name, models)


def _refuse_other_notations(definition: str, name: str, type_: str, models: ExistingModels) -> None:
    """Refuse a type as other frameworks write it, and name the type here."""
    if type_.endswith("?"):
        raise OperatorError(f"{definition!r}: Write {name}:{type_.rstrip('?')}:optional.")
    if (word := _type_of_django(type_)) and not models.find_by_name(type_):
        raise OperatorError(f"{definition!r}: unknown type {type_!r}. Write {name}:{word}. {TYPES_HINT}")
    if type_.rpartition(".")[2].lower() in WORDS_FOR_REFERENCES:
        raise OperatorError(
            f"{definition!r}: The type of a reference is the name of its model, as in author:Author or tags:many:Tag."
        )


def _type_of_django(name: str) -> str:
    """Return `str` for `CharField` or `models.CharField`; empty for other names."""
    word, field, rest = name.rpartition(".")[2].lower().partition("field")
    word = ALIASES.get(word, word)
    return word if field and not rest and word in FIELD_TYPES else ""


def _check_team(definition: str, name: str, models: ExistingModels) -> None:
    if name not in ("team", "team_id"):
        raise OperatorError(f"{definition!r}: the field for the team must be called team. Write team.")
    if "teams" not in models.installed_names:
        raise OperatorError(
            f"{definition!r}: the feature teams is not installed. {how_to_list('teams')} Or write owner: rows then "
            "belong to the user who adds them."
        )


def _split_definition(definition: str) -> list[str]:
    """Split a definition. `kind:enum(a,b)` is read as `kind:enum:a,b`, and `tags:Tag[]` as `tags:many:Tag`."""
    definition, default, value = definition.partition(":default=")
    definition = re.sub(r":([\w.]+)\[\]", r":many:\1", definition)
    parts = re.sub(r":(\w+)\(([^()]*)\)", r":\1:\2", definition).split(":")
    return [*parts, *_split_default(value, parts[1] if len(parts) > 1 else "")] if default else parts


def _split_default(text: str, type_: str) -> list[str]:
    """Split a default from the options after it. Times and URLs contain colons."""
    value, *parts = text.split(":")
    while parts and type_ in ("time", "url") and parts[0] not in OPTIONS:
        value += f":{parts.pop(0)}"
    return [f"default={value}", *parts]


def check_mixins(mixins: Sequence[str], fields: Sequence[Field], models: ExistingModels) -> None:
    """Check that no field has the name of an attribute of `SoftDelete` or `Versioned`, and that versions are kept.

    Raises:
        OperatorError: a field has such a name, or the feature of the versions is not installed.
    """
    for mixin in mixins:
        for field in fields:
            if field.column in MIXIN_NAMES[mixin]:
                option = "--soft-delete" if mixin == "SoftDelete" else "--versioned"
                raise OperatorError(f"{field.column!r} belongs to {mixin}. Rename the field, or omit {option}.")
    if "Versioned" in mixins and "row_versions" not in models.installed_names:
        raise OperatorError(
            f"--versioned: the feature row_versions is not installed. {how_to_list('row_versions')} "
            "Or omit --versioned."
        )


def check_field_name(name: str) -> None:
    """Validate a field name.

    Raises:
        OperatorError: the name is invalid, reserved or sensitive.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > MAX_FIELD_LENGTH:
        raise OperatorError(
            f"{name!r} is not a field name. Use at most {MAX_FIELD_LENGTH} lowercase letters, digits and underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in RESERVED_NAMES or name.startswith("model_"):
        raise OperatorError(f"{name!r} is reserved by Python or SQLModel. Choose another field name.")
    if columns.is_secret(name):
        raise OperatorError(
            f"{name!r} is the name of a secret, which pages and API never show. Choose another name, or add the field "
            "to models.py by hand, for code that reads it."
        )
    if columns.is_privilege(name):
        raise OperatorError(
            f"{name!r} is the name of a privilege, which users could give themselves. Choose another name, or add the "
            "field to models.py by hand and to write_fields of its data layer (oppman.py docs crud)."
        )
    if hasattr(Model, name):
        raise OperatorError(f"{name!r} is an attribute of every model. Choose another field name.")


def _parse_reference(
    name: str, type_: str, options: list[str], feature: str, model: str, models: ExistingModels
) -> Field:
    is_many = type_ == "many"
    if is_many and not options:
        raise OperatorError(f"'{name}:many' has no model. Write {name}:many:Tag.")
    target_name, options = (options[0], options[1:]) if is_many else (type_, options)
    name = name if is_many else name.removesuffix("_id")
    target = models.resolve(target_name, feature, model)
    if is_many and not target.is_local:
        raise OperatorError(
            f"{name}: {target.name} is a model of {target.feature}, and features cannot import each other. Put both "
            "models into one feature."
        )
    field = _with_options(Field(name, "many" if is_many else "reference", target=target), options)
    if target.is_itself and not is_many and not field.is_optional:
        raise OperatorError(
            f"{name} refers to its own model, so the first row has no value for it. "
            f"Write {name}:{target_name}:optional."
        )
    if target.is_itself and is_many:
        raise OperatorError(f"{name}: addmodel cannot link a model to itself. Add the link table to models.py by hand.")
    return field


def _with_options(field: Field, options: Sequence[str]) -> Field:
    for option in filter(None, options):
        field = _with_option(field, option)
    _check_combination(field)
    if field.type == "decimal" and not field.digits[0]:
        field = replace(field, digits=(MAX_DIGITS, 2))
    if not field.default:
        return field
    _check_limits(field)
    if field.type == "enum" and field.default in field.choices:
        return replace(field, default_code=Code(f"{field.enum}.{enum_member(field.default)}"))
    return replace(field, default_code=_default_code(field))


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


def _with_option(field: Field, option: str) -> Field:
    name, equals, value = option.partition("=")
    is_limit = bool(equals) and name in ("min", "max") and field.spec.is_number
    if is_limit and re.fullmatch(NUMBER, value):
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
    if is_limit:
        raise OperatorError(f"{field.name}: {value!r} is not a number. Write {name}=1.")
    other_options = [other for other in OPTIONS if other != f"{name}="]  # this option is for other types
    word = WORDS_FOR_OPTIONS.get(option)
    hint = f" Did you mean {word}?" if word else did_you_mean(option, other_options)
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


def _default_code(field: Field) -> Code:
    message = f"{field.name}: {field.default!r} is not a valid default for {field.type}. Change or omit it."
    if field.type == "enum" or not field.spec.default_code:
        raise OperatorError(message)
    try:
        return field.spec.default_code(field.default)
    except (ValueError, KeyError, ArithmeticError):
        raise OperatorError(message) from None


def _check_limits(field: Field) -> None:
    """Check that a default which is a number is between `min=` and `max=`."""
    if not re.fullmatch(NUMBER, field.default):
        return
    too_small = field.minimum and Decimal(field.default) < Decimal(field.minimum)
    if too_small or (field.maximum and Decimal(field.default) > Decimal(field.maximum)):
        limit = f"less than min={field.minimum}" if too_small else f"greater than max={field.maximum}"
        raise OperatorError(f"{field.name}: default={field.default} is {limit}. Change one of them.")


def _with_slug_source(slug: Field, fields: Sequence[Field]) -> Field:
    texts = [field.name for field in fields if field.type == "str"]
    source = slug.source or next(iter(texts), "")
    if source not in texts:
        reason = f"{source!r} is not a str field of this model" if source else "the model has no str field"
        raise OperatorError(f"{slug.name}: {reason}. Write {slug.name}:slug:title and title:str.")
    return replace(slug, source=source)
