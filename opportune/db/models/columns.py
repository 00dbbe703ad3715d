"""Properties of a model's columns: types, keys and references."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import ARRAY, JSON, Column, Enum, Index, Integer, LargeBinary, String, Text, UniqueConstraint, inspect
from sqlalchemy.orm import Mapper, RelationshipDirection
from sqlalchemy.types import TypeDecorator, TypeEngine

from opportune.db.models.foreign_keys import load_targets
from opportune.db.models.sensitive_names import is_secret
from opportune.db.models.translated import TranslatedColumn
from opportune.errors import OperatorError

LONG_TEXT_LENGTH = 500
"""Maximum characters of a column that lists show. Forms also show longer columns."""
MAX_KEYWORD_LENGTH = 64
"""Maximum characters of a column that lists do not truncate, because it holds a key or an address."""


def python_type_of(column: Column[Any]) -> type[Any]:
    """Return the type of a column's values in Python; `str` if it is unknown.

    A TypeDecorator, such as that of times in UTC, has the type that it wraps.
    """
    type_: TypeEngine[Any] = column.type
    while type_.python_type is object and isinstance(type_, TypeDecorator):
        type_ = type_.impl_instance
    return str if type_.python_type is object else type_.python_type


def is_amount(column: Column[Any]) -> bool:
    """Return whether a column holds numbers to compare, instead of keys."""
    type_ = python_type_of(column)
    is_number = issubclass(type_, int | float | Decimal) and type_ is not bool
    return is_number and not (column.primary_key or column.foreign_keys)


def type_of(column: Column[Any]) -> TypeEngine[Any]:
    """Return the column's type without a TypeDecorator around it. A translated column has the type of its texts."""
    if isinstance(column.type, TranslatedColumn):
        return column.type.text_type
    return unwrap_type(column.type)


def unwrap_type(type_: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type that a TypeDecorator wraps. Other types stay the same."""
    return type_.impl_instance if isinstance(type_, TypeDecorator) else type_


def is_text(column: Column[Any]) -> bool:
    return isinstance(type_of(column), String)


def holds_text(column: Any) -> bool:
    """Return whether a column or an expression is a text. Enums of PostgreSQL are none."""
    type_ = type_of(column)
    return isinstance(type_, String) and not isinstance(type_, Enum)


def is_json(column: Column[Any]) -> bool:
    """Return whether a column holds JSON, an array or an `HSTORE`, which forms and files treat alike."""
    type_ = type_of(column)
    return isinstance(type_, JSON | ARRAY) or type_.__visit_name__ == "HSTORE"


def is_long(column: Column[Any]) -> bool:
    type_ = type_of(column)
    return isinstance(type_, Text) or (isinstance(type_, String) and (type_.length or 0) > LONG_TEXT_LENGTH)


def may_truncate(column: Column[Any]) -> bool:
    """Return whether a list may truncate the column. It holds prose, or references a row whose title is shown."""
    if column.foreign_keys:
        return True
    type_ = type_of(column)
    return isinstance(type_, String) and not 0 < (type_.length or 0) <= MAX_KEYWORD_LENGTH


def foreign_keys_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    """Return the model that each foreign key column references, if its key is a number and not also the row's own."""
    foreign_keys = {}
    for name, model in references_of(mapper).items():
        column = mapper.columns[name]
        is_own_key = column.primary_key and len(mapper.primary_key) == 1
        if isinstance(type_of(column), Integer) and not is_own_key:
            foreign_keys[name] = model
    return foreign_keys


def references_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    """Return the model that each foreign key column references, also by a text or a UUID."""
    if mapper not in _references:
        _references[mapper] = _find_references(mapper)
    return _references[mapper].copy()


_references: WeakKeyDictionary[Mapper[Any], dict[str, type[Any]]] = WeakKeyDictionary()
"""Cached results, because an admin view needs them several times and each search inspects all models."""


def _find_references(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    load_targets(mapper.columns)
    classes = {other.local_table: other.class_ for other in mapper.registry.mappers}
    models = {}
    for name, column in mapper.columns.items():
        if mapper.inherits and column.primary_key:  # refers to the row of the base class
            continue
        for key in column.foreign_keys:
            model = classes.get(key.column.table)  # a table may have no model
            if model and [*key.column.table.primary_key] == [key.column]:
                models[name] = model
    return models


def many_to_many_of(mapper: Mapper[Any]) -> dict[str, type[Any]]:
    """Return the target model of each many-to-many relationship (`Relationship(link_model=…)`)."""
    return {
        relation.key: relation.mapper.class_
        for relation in mapper.relationships
        if relation.direction is RelationshipDirection.MANYTOMANY
        and not relation.viewonly
        and len(relation.parent.primary_key) == len(relation.mapper.primary_key) == 1
    }


def incomplete_links_of(mapper: Mapper[Any]) -> Iterator[str]:
    """Yield the many-to-many relationships whose link table has more required columns than the two keys."""
    for name in many_to_many_of(mapper):
        relation = mapper.relationships[name]
        table: Any = relation.secondary
        pairs = [*relation.synchronize_pairs, *(relation.secondary_synchronize_pairs or ())]
        filled = {table.autoincrement_column, *(key for _, key in pairs)}
        required = [column for column in table.columns if column not in filled and not column.nullable]
        if any(column.default is None and column.server_default is None for column in required):
            yield name


@lru_cache(256)  # lists need them for each row
def key_names_of(mapper: Mapper[Any]) -> Sequence[str]:
    """Return the attributes of the primary key. Its columns may have other names."""
    return [mapper.get_property_by_column(column).key for column in mapper.primary_key]


def is_generated(column: Column[Any]) -> bool:
    """Return whether only the database sets a column, because it computes or numbers its values."""
    return column.computed is not None or (column.identity is not None and bool(column.identity.always))


def holds_bytes(column: Column[Any]) -> bool:
    """Return whether values are bytes or pickled objects, which neither JSON nor forms can show."""
    return isinstance(type_of(column), LargeBinary)


def has_no_input(column: Column[Any]) -> bool:
    """Return whether forms leave a column out. A text of bytes would be another value."""
    return is_generated(column) or holds_bytes(column)


def typed_keys_of(mapper: Mapper[Any]) -> Iterator[str]:
    """Yield the columns of the primary key that users enter, because neither the database nor a default fills them.

    Foreign keys in a key of several columns, such as that of a link table, are ordinary fields.
    """
    fields = getattr(mapper.class_, "model_fields", {})
    for column in mapper.primary_key:
        name = mapper.get_property_by_column(column).key
        is_filled = column is column.table.autoincrement_column or column.default or column.server_default
        is_part = column.foreign_keys and len(mapper.primary_key) > 1
        if not (is_filled or is_part) and (name not in fields or fields[name].is_required()):
            yield name


def natural_key_of(model: type[Any]) -> str:
    """Return the column that identifies a row in imports, exports and fixtures. Empty if there is none.

    It is the only unique text column, unless the model sets `natural_key: ClassVar[str] = "isbn"`.
    """
    mapper: Mapper[Any] = inspect(model)
    declared_key = getattr(model, "natural_key", "")
    if declared_key:
        if declared_key not in mapper.columns:
            raise OperatorError(f'{model.__name__}: natural_key is "{declared_key}", which is not one of its columns.')
        return str(declared_key)
    texts = [name for name, column in mapper.columns.items() if is_text(column) and not is_secret(name)]
    unique = [name for name in texts if is_unique(mapper.columns[name])]
    return unique[0] if len(unique) == 1 else ""


def is_unique(column: Column[Any]) -> bool:
    """Return whether the database enforces distinct values in this column."""
    table: Any = column.table
    rules = [rule for rule in table.constraints if isinstance(rule, UniqueConstraint)]
    if any([*rule.columns] == [column] for rule in rules):
        return True
    # An index on lower(name) also contains the column, but not as its expression.
    indexes = [index for index in table.indexes if index.unique and [*index.expressions] == [column]]
    return any(_covers_all_rows(index) for index in indexes)


def _covers_all_rows(index: Index) -> bool:
    return all(index.dialect_options[name]["where"] is None for name in ("postgresql", "sqlite"))


def has_integer_key(mapper: Mapper[Any]) -> bool:
    keys: Any = mapper.primary_key
    return len(keys) == 1 and isinstance(type_of(keys[0]), Integer)


def is_indexed(column: Column[Any]) -> bool:
    """Return whether an index sorts rows by the column."""
    indexes: Any = column.table.indexes
    return any(next(iter(index.columns), None) is column and _covers_all_rows(index) for index in indexes)
