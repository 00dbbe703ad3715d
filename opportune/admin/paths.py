"""Names that the options of a view have for columns: `price`, a relationship such as `author`, and `author.name`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.orm import Mapper, RelationshipDirection, RelationshipProperty, aliased, selectinload

from opportune.db.columns import natural_key_of


@dataclass(frozen=True)
class Path:
    """The way from a model to a column or a relationship: `author.country.name` takes two relationships to `name`."""

    relations: Sequence[RelationshipProperty[Any]]
    end: Mapper[Any]
    """The model that has it."""
    name: str

    @property
    def leads_to_many(self) -> bool:
        """Whether a row has several of it."""
        return any(relation.uselist for relation in self.relations)

    @property
    def attribute(self) -> Any:
        """The column or relationship of the model at the end."""
        return getattr(self.end.class_, self.name)

    def holds(self, condition: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether a condition on the model at the end holds for some row that a row of the first model leads to."""
        for relation in reversed(self.relations):
            keys = select(relation.mapper.primary_key[0]).select_from(relation.mapper).where(condition)
            condition = _points_at(relation, keys)
        return condition


def parse_path(mapper: Mapper[Any], path: str) -> Path:
    """Where a name or a path leads.

    Raises:
        LookupError: there is no such column or relationship; its argument is the model that lacks it, and the name.
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
    return Path(relations, mapper, name)


def column_of_relation(mapper: Mapper[Any], name: str) -> str:
    """The column that a relationship to one row goes by (`author_id` of `author`), or the name itself."""
    if "." in name or name not in mapper.relationships:
        return name
    relation = mapper.relationships[name]
    if relation.direction is not RelationshipDirection.MANYTOONE or len(relation.local_columns) > 1:
        return name
    (column,) = relation.local_columns
    return mapper.get_property_by_column(column).key


def relation_of_column(mapper: Mapper[Any], name: str) -> str:
    """The relationship that goes by a column, or nothing."""
    ours: Iterator[str] = (key for key in mapper.relationships.keys() if column_of_relation(mapper, key) == name)  # noqa: SIM118 - no dict
    return next(ours, "")


def loading(mapper: Mapper[Any], names: Sequence[str]) -> list[Any]:
    """What loads the rows that these names lead to with the rows that have them: a query for each relationship."""
    options = []
    for name in names:
        try:
            path = parse_path(mapper, name)
        except LookupError:
            continue  # what is computed
        steps = [*path.relations, *([path.end.relationships[path.name]] if path.name in path.end.relationships else [])]
        option: Any = None
        for step in steps:
            option = (option.selectinload if option else selectinload)(step.class_attribute)
        options += [option] if option else []
    return options


def values_at(row: Any, path: str) -> list[Any]:
    """What a path leads to from a row whose relationships are loaded, without what is empty."""
    found = [row]
    for step in path.split("."):
        values = [getattr(each, step) for each in found]
        flat = [each for value in values for each in (value if isinstance(value, list) else [value])]
        found = [each for each in flat if each is not None]
    return found


def sorted_by(
    statement: Select[Any], mapper: Mapper[Any], wishes: Sequence[tuple[str, bool]], last: Sequence[Any]
) -> Select[Any]:
    """In the order of these names or paths, each from the last to the first or not; `last` decides between equals."""
    for name, is_descending in wishes:
        statement, column = _joined(statement, parse_path(mapper, name))
        statement = statement.order_by(column.desc() if is_descending else column.asc())
    named = {name for name, _ in wishes}
    is_descending = wishes[-1][1] if wishes else False
    return statement.order_by(*((key.desc() if is_descending else key.asc()) for key in last if key.key not in named))


def _joined(statement: Select[Any], path: Path) -> tuple[Select[Any], Any]:
    # By another name each: a row may lead to others of its own kind. The rows that lead nowhere stay.
    model: Any = None
    steps, name = list(path.relations), path.name
    if name in path.end.relationships:  # by what its row is called
        relation = path.end.relationships[name]
        steps.append(relation)
        name = natural_key_of(relation.mapper.class_) or str(relation.mapper.primary_key[0].key)
    for step in steps:
        there = aliased(step.mapper.class_)
        attribute = step.class_attribute if model is None else getattr(model, step.key)
        statement = statement.outerjoin(attribute.of_type(there))
        model = there
    return statement, getattr(path.end.class_ if model is None else model, name)


def _points_at(relation: RelationshipProperty[Any], keys: Any) -> ColumnElement[bool]:
    """Whether a row points at one of the rows with these keys. Without a join, which would count rows twice."""
    if relation.direction is RelationshipDirection.MANYTOONE:
        (column,) = relation.local_columns
        return column.in_(keys)
    if relation.direction is RelationshipDirection.MANYTOMANY and relation.secondary is not None:
        return is_linked(relation, keys)
    condition: ColumnElement[bool] = relation.class_attribute.any(relation.mapper.primary_key[0].in_(keys))
    return condition


def is_linked(relation: RelationshipProperty[Any], keys: Any) -> ColumnElement[bool]:
    """Whether a row is linked with one of the rows with these keys: read from the links, and not asked of each row."""
    ((key, mine),) = relation.synchronize_pairs
    ((_, other),) = relation.secondary_synchronize_pairs or ()
    condition: ColumnElement[bool] = key.in_(select(mine).where(other.in_(keys)))
    return condition
