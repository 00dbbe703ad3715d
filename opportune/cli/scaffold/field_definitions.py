"""Field definitions of the command line, such as `title:str:120:unique`: parsing, and validation of name and type."""

import builtins
import keyword
import re
from collections.abc import Sequence
from dataclasses import replace

from opportune.cli.scaffold.existing_models import ACCOUNT, ExistingModels
from opportune.cli.scaffold.field_options import MAX_FIELD_LENGTH, TYPES_HINT, with_options
from opportune.cli.scaffold.field_types import ALIASES, FIELD_TYPES, OPTIONS, OWNERS, TIMESTAMPS, WORDS_FOR_REFERENCES
from opportune.cli.scaffold.fields import Field
from opportune.cli.scaffold.words import camel
from opportune.crud.schema_fields import TIMESTAMPS as READONLY_NAMES
from opportune.db.models.model import Model
from opportune.db.models.sensitive_names import is_privilege, is_secret
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean
from opportune.project.optional_features import how_to_list

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
    if type_ == "many":
        return _parse_many(name, options, feature, model, models)
    if type_[:1].isupper() or "." in type_:
        return _parse_reference(name.removesuffix("_id"), type_, options, feature, model, models)
    if type_ == "account":
        return with_options(Field(name.removesuffix("_id"), "reference", target=ACCOUNT), options)
    type_ = ALIASES.get(type_, type_)
    if name in TIMESTAMPS and type_ in ("datetime", name):  # as in other frameworks
        if any(options):
            raise OperatorError(f"{definition!r}: {name} takes no options. Write {name}.")
        type_ = name
    _check_type(definition, name, type_, models)
    name = name.removesuffix("_id") if type_ in OWNERS else name
    is_used = camel(name) in {model, *IMPORTED_NAMES, *models.names_in(feature)}
    prefix = model if type_ == "enum" and is_used else ""
    return with_options(Field(name, type_, length=FIELD_TYPES[type_].length or 0, prefix=prefix), options)


def _check_type(definition: str, name: str, type_: str, models: ExistingModels) -> None:
    if type_ not in FIELD_TYPES:
        hint = did_you_mean(type_, [*FIELD_TYPES, "account", *ALIASES])
        raise OperatorError(f"{definition!r}: unknown type {type_!r}.{hint} {TYPES_HINT}")
    if name in READONLY_NAMES and name != type_:
        hint = f", or write {name} without a type" if name in TIMESTAMPS else ""
        raise OperatorError(f"{definition!r}: No user could set {name}. Rename it{hint}.")
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
    if not default:
        return parts
    type_ = parts[1] if len(parts) > 1 else ""
    return [*parts, *_split_default(value, type_)]


def _split_default(text: str, type_: str) -> list[str]:
    """Split a default from the options after it. Times and URLs contain colons."""
    value, *parts = text.split(":")
    while parts and type_ in ("time", "url") and parts[0] not in OPTIONS:
        value += f":{parts.pop(0)}"
    return [f"default={value}", *parts]


def _with_slug_source(slug: Field, fields: Sequence[Field]) -> Field:
    texts = [field.name for field in fields if field.type == "str"]
    source = slug.source or next(iter(texts), "")
    if source not in texts:
        reason = f"{source!r} is not a str field of this model" if source else "the model has no str field"
        raise OperatorError(f"{slug.name}: {reason}. Write {slug.name}:slug:title and title:str.")
    return replace(slug, source=source)


def check_mixins(mixins: Sequence[str], fields: Sequence[Field], models: ExistingModels) -> None:
    """Check that no field has the name of an attribute of `SoftDelete` or `Versioned`, and that versions are kept."""
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
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name) or len(name) > MAX_FIELD_LENGTH:
        raise OperatorError(
            f"{name!r} is not a field name. Use at most {MAX_FIELD_LENGTH} lowercase letters, digits and underscores."
        )
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in RESERVED_NAMES or name.startswith("model_"):
        raise OperatorError(f"{name!r} is reserved by Python or SQLModel. Choose another field name.")
    if is_secret(name):
        raise OperatorError(
            f"{name!r} is the name of a secret, which pages and API never show. Choose another name, or add the field "
            "to models.py by hand, for code that reads it."
        )
    if is_privilege(name):
        raise OperatorError(
            f"{name!r} is the name of a privilege, which users could give themselves. Choose another name, or add the "
            "field to models.py by hand and to write_fields of its data layer (oppman.py docs crud)."
        )
    if hasattr(Model, name):
        raise OperatorError(f"{name!r} is an attribute of every model. Choose another field name.")


def _parse_reference(
    name: str, reference: str, options: Sequence[str], feature: str, model: str, models: ExistingModels
) -> Field:
    target = models.resolve(reference, feature, model)
    field = with_options(Field(name, "reference", target=target), options)
    if target.is_itself and not field.is_optional:
        raise OperatorError(
            f"{name} refers to its own model, so the first row has no value for it. Write {name}:{reference}:optional."
        )
    return field


def _parse_many(name: str, options: Sequence[str], feature: str, model: str, models: ExistingModels) -> Field:
    if not options:
        raise OperatorError(f"'{name}:many' has no model. Write {name}:many:Tag.")
    reference, *options = options
    target = models.resolve(reference, feature, model)
    if not target.is_local:
        raise OperatorError(
            f"{name}: {target.name} is a model of {target.feature}, and features cannot import each other. Put both "
            "models into one feature."
        )
    if target.is_itself:
        raise OperatorError(f"{name}: addmodel cannot link a model to itself. Add the link table to models.py by hand.")
    return with_options(Field(name, "many", target=target), options)
