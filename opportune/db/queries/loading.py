"""Relationships that a query loads with its rows."""

from sqlalchemy.orm import QueryableAttribute, RelationshipProperty, selectinload
from sqlalchemy.orm.interfaces import LoaderOption


def load(relationship: object, *path: object) -> LoaderOption:
    """Load a relationship with the rows of a query: `select(Book).options(load(Book.author, Author.country))`.

    It is SQLAlchemy's `selectinload`, one more statement for each relationship, and takes what type checkers see in
    `Book.author`: an author.

    Raises:
        TypeError: an argument is not a relationship.
    """
    option = selectinload(_relationship(relationship))
    for each in path:
        option = option.selectinload(_relationship(each))
    return option


def _relationship(value: object) -> QueryableAttribute[object]:
    if isinstance(value, QueryableAttribute) and isinstance(value.property, RelationshipProperty):
        return value
    raise TypeError(f"load() takes relationships, such as Book.author. {value} is not one.")
