"""Models whose deleted rows stay in the trash for some days."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, Select, and_, event
from sqlalchemy.orm import Mapper, RelationshipProperty, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption
from sqlalchemy.sql.visitors import iterate
from sqlmodel import Field, SQLModel

from opportune.db.models.column_types import BigId
from opportune.errors import OperatorError

TRASH_COLUMNS = frozenset({"deleted_at", "deleted_by_id"})


class SoftDelete(SQLModel):
    """Mixin that moves deleted rows to a trash: `class Book(Model, SoftDelete, table=True)`.

    Queries leave rows in the trash out. `with_deleted(select(Book))` returns them as well.
    """

    keeps_history: ClassVar[bool] = True
    keep_deleted_days: ClassVar[int | None] = 30
    """Days until a daily job deletes a row in the trash permanently. None keeps it."""

    deleted_at: datetime | None = Field(default=None, index=True)
    deleted_by_id: int | None = Field(default=None, sa_type=BigId, title="Deleted by")
    """Id of the user who deleted the row. It is no foreign key, so that users can be deleted."""

    def __init_subclass__(cls, **options: Any) -> None:
        days: object = cls.keep_deleted_days
        if days is not None and (type(days) is not int or days < 0):
            raise OperatorError(f"{cls.__name__}.keep_deleted_days is {days!r}. Write a number of days, or None.")
        super().__init_subclass__(**options)


live_row_options: list[ExecutableOption] = []
"""Options for queries that limit the rows of each model to those outside the trash."""


@event.listens_for(SoftDelete, "after_mapper_constructed", propagate=True)
def _add_option(_mapper: Mapper[Any], model: Any) -> None:
    # A function, because SQLAlchemy does not adapt an expression to an alias in the ON clause of an outer join.
    live_row_options.append(with_loader_criteria(model, _is_live, include_aliases=True))


class LiveRowComparator(RelationshipProperty.Comparator[Any]):
    """Conditions `.any()` and `.has()` on a relationship, which leave rows in the trash out.

    SQLAlchemy 2.0 does not apply `with_loader_criteria` to its own EXISTS (issue 13070).
    """

    def any(self, criterion: Any = None, **values: Any) -> ColumnElement[bool]:
        return self._with_live_rows(super().any, criterion, values)

    def has(self, criterion: Any = None, **values: Any) -> ColumnElement[bool]:
        return self._with_live_rows(super().has, criterion, values)

    def _with_live_rows(self, make_exists: Any, criterion: Any, values: dict[str, Any]) -> ColumnElement[bool]:
        target: Any = self.mapper.class_
        if self.mapper.common_parent(self.property.parent) and issubclass(target, SoftDelete):
            # SQLAlchemy chooses the alias of the table, so no option can reach it.
            criterion = _is_live(target) if criterion is None else and_(_is_live(target), criterion)
            return make_exists(criterion, **values)  # type: ignore[no-any-return]
        exists: ColumnElement[bool] = make_exists(criterion, **values)
        if not issubclass(target, SoftDelete):
            return exists
        query = next(part for part in iterate(exists) if isinstance(part, Select))
        # Since it selects an attribute, the options of the whole query apply to it, also those of `with_deleted`.
        return query.select_from(target).with_only_columns(target.deleted_at).exists()


def _is_live(model: Any) -> ColumnElement[bool]:
    condition: ColumnElement[bool] = model.deleted_at.is_(None)
    return condition


def is_trash_column(model: type[Any], name: str) -> bool:
    """Return whether only deletions and restorations set this column."""
    return name in TRASH_COLUMNS and issubclass(model, SoftDelete)
