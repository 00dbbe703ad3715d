"""Models whose deleted rows stay in the trash for some days."""

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import event
from sqlalchemy.orm import Mapper, with_loader_criteria
from sqlalchemy.sql.base import ExecutableOption
from sqlmodel import Field, SQLModel

from opportune.db.models.model import BigId

TRASH_COLUMNS = frozenset({"deleted_at", "deleted_by_id"})


class SoftDelete(SQLModel):
    """Mixin that moves deleted rows to a trash: `class Book(Model, SoftDelete, table=True)`.

    Queries leave rows in the trash out. `with_deleted(select(Book))` returns them as well.
    """

    keep_deleted_days: ClassVar[int | None] = 30
    """Days until a daily job deletes a row in the trash permanently. None keeps it."""

    deleted_at: datetime | None = Field(default=None, index=True)
    deleted_by_id: int | None = Field(default=None, sa_type=BigId)
    """Id of the user who deleted the row. It is no foreign key, so that users can be deleted."""


live_row_options: list[ExecutableOption] = []
"""Options for queries that limit the rows of each model to those outside the trash."""


@event.listens_for(SoftDelete, "after_mapper_constructed", propagate=True)
def _add_option(_mapper: Mapper[Any], model: Any) -> None:
    live_row_options.append(with_loader_criteria(model, model.deleted_at.is_(None), include_aliases=True))


def is_trash_column(model: type[Any], name: str) -> bool:
    """Return whether only deletions and restorations set this column."""
    return name in TRASH_COLUMNS and issubclass(model, SoftDelete)
