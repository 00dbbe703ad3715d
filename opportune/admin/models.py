"""The audit log: changes of rows, with their user and channel."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from opportune.db.models.model import BigId, Model, utc_now


class AuditEntry(Model, table=True):
    """A recorded change. It stores the names of row and user, because it outlives both."""

    __tablename__ = "admin_audit_entry"
    __table_args__ = (Index("ix_admin_audit_entry_row", "identity", "row_id"),)

    at: datetime = Field(default_factory=utc_now, index=True)
    actor_id: int | None = Field(default=None, index=True, sa_type=BigId)
    actor: str = Field(default="", max_length=320)
    """E-mail address of the user."""
    action: str = Field(max_length=100)
    """`create`, `edit`, `delete`, `export`, `import`, `action:` with a name, or the name of an operation."""
    channel: str = Field(default="admin", max_length=100, sa_column_kwargs={"server_default": "admin"})
    """`admin`, `page` or `api`, or `job` or `tool` with its name."""
    identity: str = Field(max_length=100)
    """The model's name in the admin's addresses, such as `todo`."""
    row_id: str = Field(default="", max_length=64)
    title: str = Field(default="", max_length=200)
    """Title of the row at that time."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Old and new value by column, [before, after]. For a secret, only the fact that it changed is stored."""
    address: str = Field(default="", max_length=64)

    def __str__(self) -> str:
        return f"{self.action.rpartition(':')[2].capitalize()} {self.identity} {self.title or self.row_id}".rstrip()
