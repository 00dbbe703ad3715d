"""Changes of rows: who made them, and how."""

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from opportune.db.model import BigId, Model, utc_now


class AuditEntry(Model, table=True):
    """Stays when the row and the person that it tells of are gone: both are told by their names then."""

    __tablename__ = "admin_audit_entry"
    __table_args__ = (Index("ix_admin_audit_entry_row", "identity", "row_id"),)

    at: datetime = Field(default_factory=utc_now, index=True)
    actor_id: int | None = Field(default=None, index=True, sa_type=BigId)
    actor: str = Field(default="", max_length=320)
    """The e-mail of who did it."""
    action: str = Field(max_length=100)
    """create, edit, delete, export, import, action:<its name>, or an operation."""
    channel: str = Field(default="admin", max_length=100, sa_column_kwargs={"server_default": "admin"})
    """How: `admin`, `page`, `api`, `job` or `tool` with its name."""
    identity: str = Field(max_length=100)
    """The model's name in the admin's addresses, such as `todo`."""
    row_id: str = Field(default="", max_length=64)
    title: str = Field(default="", max_length=200)
    """What the row was called."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """By column what was there before and after, [before, after]. Secrets are not told, only that they changed."""
    address: str = Field(default="", max_length=64)

    def __str__(self) -> str:
        return f"{self.action.rpartition(':')[2].capitalize()} {self.identity} {self.title or self.row_id}".rstrip()
