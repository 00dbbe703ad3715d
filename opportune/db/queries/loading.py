"""Typed eager loading of relationships."""

from sqlalchemy.orm import QueryableAttribute, RelationshipProperty, selectinload
from sqlalchemy.orm.interfaces import LoaderOption


def load(relationship: object, *path: object) -> LoaderOption:
    """Load a relationship with the rows of a query: `select(Book).options(load(Book.author, Author.country))`.

    A `selectinload` that type checkers accept. It issues one more statement per relationship.

    Args:
        relationship: Relationship of the selected model.
        path: Further relationships, each of the previous one's model.

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
