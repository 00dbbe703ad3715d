"""Columns and relationships of a model, and checks of the options that name them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Column, Integer, inspect
from sqlalchemy.orm import Mapper, RelationshipDirection, RelationshipProperty, class_mapper

from opportune.db.models.columns import foreign_keys_of, has_integer_key, is_text, many_to_many_of, type_of
from opportune.db.models.field_usages import describe_usages
from opportune.db.models.sensitive_names import is_secret
from opportune.db.queries.paths import column_of_relation
from opportune.errors import OperatorError
from opportune.errors.suggestions import did_you_mean


@dataclass(frozen=True)
class Shape:
    """The columns and relationships of a model by name."""

    model: type[Any]
    mapper: Mapper[Any]
    columns: Mapping[str, Column[Any]]
    references: Mapping[str, type[Any]]
    """Models by the foreign key column that refers to them."""
    links: Mapping[str, type[Any]]
    """Models by the many-to-many relationship that links to them."""

    @cached_property
    def to_one(self) -> Mapping[str, RelationshipProperty[Any]]:
        """The relationships whose foreign key is one column of this table."""
        return {
            relation.key: relation
            for relation in self.mapper.relationships
            if relation.direction is RelationshipDirection.MANYTOONE and len(relation.local_columns) == 1
        }

    def column_of(self, relation: str) -> str:
        """Return the foreign key column of a relationship to one row."""
        return column_of_relation(self.mapper, relation)

    def relation_of(self, name: str) -> str:
        """Return the relationship to one row with this name or this foreign key column, or an empty text."""
        return next((relation for relation in self.to_one if name in (relation, self.column_of(relation))), "")


_shapes: dict[type[Any], Shape] = {}


def shape_of(model: type[Any]) -> Shape:
    """Return the cached shape of a model."""
    if model not in _shapes:
        mapper: Mapper[Any] = class_mapper(model)
        columns = dict(mapper.columns.items())
        linked = many_to_many_of(mapper).items() if has_integer_key(mapper) else ()
        links = {name: other for name, other in linked if has_integer_key(class_mapper(other))}
        _shapes[model] = Shape(model, mapper, columns, foreign_keys_of(mapper), links)
    return _shapes[model]


def unknown_name_message(model: type[Any], name: str, names: Iterable[str], noun: str = "") -> str:
    """Return the error message for an unknown name, with a suggestion and the lines of code that use the name."""
    names = sorted(name for name in names if not is_secret(name))
    suggestion = did_you_mean(name, names) or f" There are: {', '.join(names)}."
    return f"{noun or model.__name__} has no {name!r}.{suggestion}{describe_usages(model, name)}"


def secret_name_message(name: str) -> str:
    """Return the error message for an option with this name if the name is that of a secret, or an empty text."""
    return f"{name!r} is a secret by its name, so no user may see it. Leave it out." if is_secret(name) else ""


class Declaration:
    """Checks the options of a `Crud` class that name columns and relationships of its model."""

    def __init__(self, owner: str, shape: Shape, annotations: Iterable[str] = ()) -> None:
        self.owner = owner
        self.shape = shape
        self.annotations = list(annotations)

    def error(self, option: str, message: str) -> OperatorError:
        """Return the error to raise for an option of the class."""
        return OperatorError(f"{self.owner}.{option}: {message}")

    def require_one_of(self, option: str, name: str, names: Iterable[str], noun: str = "") -> None:
        names = list(names)
        if name not in names:
            raise self.error(option, unknown_name_message(self.shape.model, name, names, noun))

    def require_readable_path(self, option: str, path: str, *, text: bool = False) -> None:
        """Raise OperatorError unless a path names a column of the model or of a related row (`author.name`).

        Columns with the names of secrets are refused. With `text`, so are columns of other types.
        """
        name, _, related_name = path.partition(".")
        shape = self.shape
        relation = shape.mapper.relationships.get(name)
        if relation is not None and relation.uselist:
            raise self.error(
                option, f"{path!r} has several values in a row. Name a column of one related row or an annotation."
            )
        if related_name:
            self.require_one_of(option, name, shape.to_one)
            shape = shape_of(shape.to_one[name].mapper.class_)
        column = related_name or name
        if column not in shape.columns and (related_name or column not in self.annotations):
            self._raise_unknown(option, column, shape)
        if message := secret_name_message(path):
            raise self.error(option, message)
        if text and not (column in shape.columns and is_text(shape.columns[column])):
            raise self.error(option, f"{path!r} is not a text. Name text columns.")

    def _raise_unknown(self, option: str, name: str, shape: Shape) -> None:
        if name in shape.to_one:
            columns = shape_of(shape.to_one[name].mapper.class_).columns.items()
            texts = (key for key, column in columns if is_text(column) and not is_secret(key))
            example = f"{name}.{next(texts, 'id')}"
            raise self.error(option, f"{name!r} is a relationship. Name a column of it, such as {example!r}.")
        names = [*shape.columns, *(self.annotations if shape is self.shape else ())]
        raise self.error(option, unknown_name_message(shape.model, name, names))


def require_integer_id(owner: str, model: type[Any]) -> None:
    """Check that the primary key of a model is an integer column `id`.

    Raises:
        OperatorError: The model has another primary key.
    """
    key = inspect(model).primary_key
    if len(key) > 1:
        names = ", ".join(column.name for column in key)
        raise OperatorError(
            f"{owner}: {model.__name__} has a primary key of several columns ({names}). Give it an `id`."
        )
    if key[0].name != "id" or not isinstance(type_of(key[0]), Integer):
        key_text = "an `id` that is not an integer" if key[0].name == "id" else f"the key {key[0].name!r} and no `id`"
        raise OperatorError(f"{owner}: {model.__name__} has {key_text}. Subclass opportune.db.Model, which has one.")
