"""The table of versions."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from opportune.db.models.column_types import BigId
from opportune.db.models.model import Model, utc_now


class RowVersion(Model, table=True):
    """The values of a `Versioned` row after a change."""

    __tablename__ = "admin_row_version"
    __table_args__ = (Index("ix_admin_row_version_row", "model_table", "row_id"),)

    model_table: str = Field(max_length=100)
    """Table of the row, such as `books_book`."""
    row_id: str = Field(max_length=64)
    number: int
    """1 for the first version of a row."""
    at: datetime = Field(default_factory=utc_now, index=True)
    actor_id: int | None = Field(default=None, sa_type=BigId)
    """Id of the user. It is no foreign key, so that users can be deleted."""
    channel: str = Field(default="", max_length=100)
    """`admin`, `page`, `api` or `command`, or `job` or `tool` with its name. Empty for values from before."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Values by column, as JSON. Secrets are left out."""
