"""Names of the values that a statement writes: `session.execute(insert(Book), [{"title": "Emma"}])`."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Executable, Insert, Update, inspect
from sqlalchemy.orm import Session

from opportune.errors.suggestions import did_you_mean


def refuse_unknown_names(
    session: Session, statement: Executable, rows: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> None:
    """Refuse names that are neither columns nor parameters of an INSERT or UPDATE."""
    if not isinstance(statement, Insert | Update):
        return
    target = statement.entity_description
    known = {*statement.table.columns.keys()}
    if "entity" in target:  # a model, not a table
        known.update(inspect(target["entity"]).all_orm_descriptors.keys())
    unknown = set[str]().union(*([rows] if isinstance(rows, Mapping) else rows)) - known
    if unknown:
        unknown -= statement.compile(dialect=session.get_bind().dialect).params.keys()
    if unknown:
        name = min(unknown)
        raise ValueError(f"{target['name']} has no field {name!r}.{did_you_mean(name, known)}")
