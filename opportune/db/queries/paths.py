"""Paths from a model to a column or a relationship: `price`, `author`, `author.country.name`. Loading relationships."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, and_, inspect, select, true
from sqlalchemy.orm import (
    Mapper,
    QueryableAttribute,
    RelationshipDirection,
    RelationshipProperty,
    aliased,
    selectinload,
)
from sqlalchemy.orm.interfaces import LoaderOption
from sqlalchemy.sql.elements import True_

from opportune.db.models.columns import natural_key_of
from opportune.db.models.translated import current_text, is_translated

Visible = Callable[[type[Any]], ColumnElement[bool]]
"""Function that returns the condition on the rows of a model that the user may see."""


def all_rows(_model: type[Any]) -> ColumnElement[bool]:
    return true()


@dataclass(frozen=True)
class AttributePath:
    """Column or relationship with the relationships that lead to it: `author.country.name` has two."""

    relations: Sequence[RelationshipProperty[Any]]
    end: Mapper[Any]
    """Mapper of the model that has the column or relationship."""
    name: str

    @property
    def leads_to_many(self) -> bool:
        """Whether a row can have several values at the end of the path."""
        return any(relation.uselist for relation in self.relations)

    @property
    def attribute(self) -> Any:
        return getattr(self.end.class_, self.name)

    def to_title(self) -> "AttributePath":
        """Return the path to the related row's natural or primary key. Paths to columns are unchanged."""
        if self.name not in self.end.relationships:
            return self
        relation = self.end.relationships[self.name]
        name = natural_key_of(relation.mapper.class_) or str(relation.mapper.primary_key[0].key)
        return AttributePath([*self.relations, relation], relation.mapper, name)

    def exists_where(self, condition: ColumnElement[bool], visible: Visible = all_rows) -> ColumnElement[bool]:
        """Return the condition that the path leads to a visible row that matches a condition.

        It uses subqueries, because a join would return a row several times.
        """
        for relation in reversed(self.relations):
            rows = select(relation.mapper.primary_key[0]).select_from(relation.mapper)
            condition = _references(relation, rows.where(condition, visible(relation.mapper.class_)).correlate(None))
        return condition

    def value(self, visible: Visible = all_rows) -> ColumnElement[Any]:
        """Return the value of a column at the end of a path to one row. It is NULL if that row is not visible.

        The value of a translated column is the text in the current language.
        """
        if not self.relations:
            return _readable(self.attribute)
        first, *further = self.relations
        target: Any = aliased(first.mapper.class_)
        rows = select(target).where(_is_related(first, target), _is_visible(visible, first, target))
        for relation in further:
            source = target
            target = aliased(relation.mapper.class_)
            rows = rows.join(getattr(source, relation.key).of_type(target))
            rows = rows.where(_is_visible(visible, relation, target))
        rows = rows.with_only_columns(_readable(getattr(target, self.name)), maintain_column_froms=True)
        return rows.correlate(first.parent.class_).scalar_subquery()


def _readable(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return current_text(column) if is_translated(column) else column


def parse_path(mapper: Mapper[Any], path: str) -> AttributePath:
    """Parse a path such as `author.country.name`.

    Raises:
        LookupError: A part of the path does not exist. The arguments are the model that lacks it, and its name.
    """
    *steps, name = path.split(".")
    relations = []
    for step in steps:
        if step not in mapper.relationships:
            raise LookupError(mapper, step)
        relations.append(mapper.relationships[step])
        mapper = relations[-1].mapper
    if name not in mapper.columns and name not in mapper.relationships:
        raise LookupError(mapper, name)
    return AttributePath(relations, mapper, name)


def is_among(visible: Visible, key: ColumnElement[Any], model: type[Any]) -> ColumnElement[bool]:
    """Return the condition that a key belongs to a visible row of a model."""
    condition = visible(model)
    if isinstance(condition, True_):
        return condition
    return key.in_(select(inspect(model).primary_key[0]).where(condition).correlate(None))


def column_of_relation(mapper: Mapper[Any], name: str) -> str:
    """Return the foreign key column of a to-one relationship (`author_id` of `author`). Other names are unchanged."""
    if "." in name or name not in mapper.relationships:
        return name
    relation = mapper.relationships[name]
    if relation.direction is not RelationshipDirection.MANYTOONE or len(relation.local_columns) > 1:
        return name
    (column,) = relation.local_columns
    return mapper.get_property_by_column(column).key


def relation_of_column(mapper: Mapper[Any], name: str) -> str:
    """Return the relationship of a foreign key column, or an empty string."""
    names: Iterator[str] = (
        other.key for other in mapper.relationships if column_of_relation(mapper, other.key) == name
    )
    return next(names, "")


def loading_options(mapper: Mapper[Any], names: Sequence[str]) -> Iterator[Any]:
    """Yield query options that load the relationships of paths, with one more query per relationship."""
    for name in names:
        option: Any = None
        for relation in _relations_of(mapper, name):
            load_next = option.selectinload if option else selectinload
            option = load_next(relation.class_attribute)
        if option:
            yield option


def load(relationship: object, *path: object) -> LoaderOption:
    """Load a relationship with the rows of a query: `select(Book).options(load(Book.author, Author.country))`.

    A `selectinload` that type checkers accept. It issues one more statement per relationship.

    Raises:
        TypeError: An argument is not a relationship.
    """
    option = selectinload(_relationship(relationship))
    for step in path:
        option = option.selectinload(_relationship(step))
    return option


def _relationship(value: object) -> QueryableAttribute[object]:
    if isinstance(value, QueryableAttribute) and isinstance(value.property, RelationshipProperty):
        return value
    raise TypeError(f"load() takes relationships, such as Book.author. {value} is not one.")


def _relations_of(mapper: Mapper[Any], name: str) -> Sequence[RelationshipProperty[Any]]:
    """Return the relationships of a path, also at its end. Python properties have none."""
    try:
        path = parse_path(mapper, name)
    except LookupError:
        return []
    last = path.end.relationships.get(path.name)
    return path.relations if last is None else [*path.relations, last]


def read_path_values(row: Any, path: str) -> list[Any]:
    """Return the values at the end of a path whose relationships are loaded, without None."""
    values = [row]
    for step in path.split("."):
        attributes = [getattr(value, step) for value in values]
        lists = [value if isinstance(value, list) else [value] for value in attributes]
        values = [item for item in chain.from_iterable(lists) if item is not None]
    return values


def is_linked(relation: RelationshipProperty[Any], keys: Any) -> ColumnElement[bool]:
    """Return the condition that a many-to-many relationship links a row to one of the keys.

    The subquery is not correlated, so the link table is read once for all rows.
    """
    ((key, link_key),) = relation.synchronize_pairs
    ((_, other),) = relation.secondary_synchronize_pairs or ()
    return key.in_(select(link_key).where(other.in_(keys)))


def _is_visible(visible: Visible, relation: RelationshipProperty[Any], target: Any) -> ColumnElement[bool]:
    key = relation.mapper.get_property_by_column(relation.mapper.primary_key[0]).key
    return is_among(visible, getattr(target, key), relation.mapper.class_)


def _is_related(relation: RelationshipProperty[Any], target: Any) -> ColumnElement[bool]:
    """Return the condition that an aliased row is the target of a relationship."""
    key_of = relation.mapper.get_property_by_column
    pairs = relation.local_remote_pairs or ()
    return and_(*(getattr(target, key_of(remote).key) == local for local, remote in pairs))


def _references(relation: RelationshipProperty[Any], keys: Any) -> ColumnElement[bool]:
    if relation.direction is RelationshipDirection.MANYTOONE:
        (column,) = relation.local_columns
        return column.in_(keys)
    if relation.direction is RelationshipDirection.MANYTOMANY and relation.secondary is not None:
        return is_linked(relation, keys)
    condition: ColumnElement[bool] = relation.class_attribute.any(relation.mapper.primary_key[0].in_(keys))
    return condition
