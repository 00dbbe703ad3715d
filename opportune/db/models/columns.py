"""What a model's columns are to whoever shows, asks for and changes its rows, read from the model itself."""

import re
from collections.abc import Iterator
from enum import Enum
from functools import lru_cache
from typing import Any, Literal, get_args, get_origin
from weakref import WeakKeyDictionary

from sqlalchemy import JSON, Column, Index, Integer, String, Text, UniqueConstraint, inspect
from sqlalchemy.orm import Mapper, RelationshipDirection
from sqlalchemy.types import TypeDecorator, TypeEngine

from opportune.errors import OperatorError

SECRET = re.compile(r"password|secret|api_?key|(^|_)(token|hash)(_|$)", re.IGNORECASE)
PRIVILEGES = re.compile(
    r"^(is_)?(superuser|staff|active|verified|admin)$|^(roles?|permissions?|groups?|grants?|scopes?)$"
)
LONG_TEXT_LENGTH = 500
"""Characters from which a text is for the form and not for the list."""

MAX_KEYWORD_LENGTH = 64
"""Characters up to which a text is one thing, such as a key or an address, and shown whole."""

MAX_MESSAGE_VALUE_LENGTH = 60
"""Characters of a value that a message shows."""


@lru_cache(4096)
def is_secret(name: str) -> bool:
    """Whether a column's name says that its value is nobody's to see. Takes paths such as `owner.email` too."""
    return bool(SECRET.search(name.rsplit(".", 1)[-1]))


def value_for_message(name: str, value: Any) -> str:
    """Return the shortened value of a column or an SQL expression; secrets are masked."""
    if any(map(is_secret, re.findall(r"\w+", name))):
        return "a value"
    return repr(str(value)[:MAX_MESSAGE_VALUE_LENGTH])


def is_privilege(name: str) -> bool:
    """Whether a column's name says that it is what somebody may do."""
    return bool(PRIVILEGES.search(name))


def label_of(name: str) -> str:
    """What a person calls a column: `owner_id` is "Owner", `is_active` is "Active"."""
    if name == "id":
        return "ID"
    words = name.removeprefix("is_").removesuffix("_id").replace(".", " ").replace("_", " ")
    return words[:1].upper() + words[1:]


def type_of(column: Column[Any]) -> TypeEngine[Any]:
    """The column's type without SQLModel's wrapping."""
    kind: TypeEngine[Any] = column.type
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def is_text(column: Column[Any]) -> bool:
    return isinstance(type_of(column), String)


def is_json(column: Column[Any]) -> bool:
    return isinstance(type_of(column), JSON)


def is_long(column: Column[Any]) -> bool:
    kind = type_of(column)
    return isinstance(kind, Text) or (isinstance(kind, String) and (kind.length or 0) > LONG_TEXT_LENGTH)


def is_wordy(column: Column[Any]) -> bool:
    """Whether a column may be cut in a list to make room: it holds words, or points at a row that is shown by them."""
    words = is_text(column) and not 0 < (type_of(column).length or 0) <= MAX_KEYWORD_LENGTH  # type: ignore[attr-defined]  # a String
    return words or bool(column.foreign_keys)


def foreign_keys_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    """The columns that point at one row of another model, and that model."""
    if mapper not in _foreign_keys:
        _foreign_keys[mapper] = _foreign_keys_of(mapper)
    return _foreign_keys[mapper].copy()


_foreign_keys: WeakKeyDictionary[Mapper[Any], dict[str, type[Any]]] = WeakKeyDictionary()
"""Found once: a view of the admin asks several times, and all models are looked at each time."""


def _foreign_keys_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    classes = {other.local_table: other.class_ for other in mapper.registry.mappers}
    found = {}
    for name, column in mapper.columns.items():
        for key in column.foreign_keys:
            model = classes.get(key.column.table)  # a table may have no model
            if model and key.column.primary_key and isinstance(type_of(key.column), Integer):
                found[name] = model
    is_link = len(mapper.primary_key) > 1  # whose key is what it points at
    return {name: model for name, model in found.items() if is_link or not mapper.columns[name].primary_key}


def many_to_many_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    """The relationships by a table in between (`Relationship(link_model=…)`), and the models at their other ends."""
    return {
        relation.key: relation.mapper.class_
        for relation in mapper.relationships
        if relation.direction is RelationshipDirection.MANYTOMANY and not relation.viewonly
        if _has_number(relation.parent) and _has_number(relation.mapper)
    }


def incomplete_links_of(mapper: Mapper[Any]) -> list[str]:
    """The relationships of `many_to_many_of` whose table in between wants more than the keys of both rows."""
    found = []
    for name in many_to_many_of(mapper):
        relation = mapper.relationships[name]
        table: Any = relation.secondary
        pairs = [*relation.synchronize_pairs, *(relation.secondary_synchronize_pairs or ())]
        filled = {table.autoincrement_column, *(key for _, key in pairs)}
        rest = [column for column in table.columns if column not in filled and not column.nullable]
        if any(column.default is None and column.server_default is None for column in rest):
            found.append(name)
    return found


def natural_key_of(model: type[Any]) -> str:
    """The column by whose value a person names a row, in imports, exports and fixtures. Empty if there is none.

    It is the one text that is unique, or what the model says: `natural_key: ClassVar[str] = "isbn"`.
    """
    mapper: Mapper[Any] = inspect(model)
    declared = getattr(model, "natural_key", "")
    if declared:
        if declared not in mapper.columns:
            raise OperatorError(f'{model.__name__}: natural_key is "{declared}", which is no column of it.')
        return str(declared)
    texts = [name for name, column in mapper.columns.items() if is_text(column) and not is_secret(name)]
    unique = [name for name in texts if is_unique(mapper.columns[name])]
    return unique[0] if len(unique) == 1 else ""


def is_unique(column: Column[Any]) -> bool:
    """Whether the database lets no two rows have the same in it."""
    table: Any = column.table
    rules = [*table.constraints, *(index for index in table.indexes if index.unique)]
    alone = [rule for rule in rules if isinstance(rule, UniqueConstraint | Index) and [*rule.columns] == [column]]
    # An index on lower(name) has the column too, and one with a condition does not hold for all rows.
    return any(not isinstance(rule, Index) or _is_plain(rule, column) for rule in alone)


def _is_plain(index: Index, column: Column[Any]) -> bool:
    conditions = (index.dialect_options[name]["where"] for name in ("postgresql", "sqlite"))
    return [*index.expressions] == [column] and not any(condition is not None for condition in conditions)


def _has_number(mapper: Mapper[Any]) -> bool:
    keys: Any = mapper.primary_key
    return len(keys) == 1 and isinstance(type_of(keys[0]), Integer)


def choices_of(model: type[Any], name: str) -> tuple[Any, ...]:
    """The values that an Enum or a Literal allows, or none where anything goes."""
    field = getattr(model, "model_fields", {}).get(name)
    for part in _parts(field.annotation) if field else ():
        if isinstance(part, type) and issubclass(part, Enum):
            return tuple(part)
        if get_origin(part) is Literal:
            return get_args(part)
    return ()


def choice_value(value: Any) -> str:
    """How a choice is written in addresses and forms."""
    return str(value.value if isinstance(value, Enum) else value)


def choice_label(value: Any) -> str:
    """How a choice is shown to a person."""
    return choice_value(value).replace("_", " ").capitalize()


def _parts(annotation: Any) -> Iterator[Any]:
    yield annotation
    yield from get_args(annotation)


def title_of(row: Any) -> str:
    """A row's own name if its class gives one, else its kind and number: never all its values."""
    if name_method(type(row)):
        return str(row)
    return f"{type(row).__name__} {' '.join(map(str, inspect(type(row)).primary_key_from_instance(row)))}"


def name_method(model: type[Any]) -> Any:
    """Return the `__str__` that a model defines itself, or None."""
    return next((vars(each)["__str__"] for each in own_classes(model) if "__str__" in vars(each)), None)


def own_classes(kind: type[Any]) -> Iterator[type[Any]]:
    """The classes that a model is made of, without those of the libraries."""
    return (cls for cls in kind.__mro__ if cls.__module__.split(".")[0] not in ("builtins", "pydantic", "sqlmodel"))
