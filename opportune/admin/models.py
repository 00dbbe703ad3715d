"""Tables of the admin: the audit log, and the tables of its optional features.

Migrations of the admin create them all, so that a site can add such a feature or leave it out without migrations.
"""

from datetime import date, datetime
from hashlib import blake2b
from typing import Any
from urllib.parse import parse_qsl

from sqlalchemy import Index, UniqueConstraint, inspect
from sqlmodel import Field, SQLModel

from opportune.accounts.models import OwnerId
from opportune.db.clock import utc_now
from opportune.db.models.column_types import BigId
from opportune.db.models.model import Model
from opportune.schemas.text import Line, Text

PURGE = "delete permanently"
"""Action of an entry for a row that was in the trash."""


KEY_LENGTH = 64
"""Maximum length of a key in `row_id`."""


def recorded_key(key: str) -> str:
    """Return the key of a row as `row_id` stores it. Long keys are hashed, because cut keys could be equal."""
    return key if len(key) <= KEY_LENGTH else blake2b(key.encode(), digest_size=KEY_LENGTH // 2).hexdigest()


def may_be_hash(row_id: str) -> bool:
    """Return whether this `row_id` may be the hash of a key, by which no row is found."""
    return len(row_id) >= KEY_LENGTH


def recorded_key_of(row: SQLModel) -> str:
    """Return the `recorded_key` of a row. Several columns are joined as in SQLAdmin, which not all processes import."""
    key = [str(value) for value in inspect(type(row), raiseerr=True).primary_key_from_instance(row)]
    if len(key) > 1:
        key = [value.replace("\\", r"\\").replace(";", r"\;") for value in key]
    return recorded_key(";".join(key))


class AuditEntry(Model, table=True):
    """A recorded change. It stores the names of row and user, because it outlives both."""

    __tablename__ = "admin_audit_entry"
    __table_args__ = (Index("ix_admin_audit_entry_row", "identity", "row_id"),)

    at: datetime = Field(default_factory=utc_now, index=True)
    actor_id: int | None = Field(default=None, index=True, sa_type=BigId)
    actor: str = Field(default="", max_length=320)
    """E-mail address of the user."""
    action: str = Field(max_length=100)
    """`create`, `update`, `delete`, `restore`, `export`, `import`, `action:` with a name or an operation's name."""
    channel: str = Field(default="admin", max_length=100, sa_column_kwargs={"server_default": "admin"})
    """`admin`, `page` or `api`, or `job` or `tool` with its name."""
    identity: str = Field(max_length=100)
    """The model's name in the admin's URLs, such as `todo`."""
    row_id: str = Field(default="", max_length=KEY_LENGTH, title="Row")
    """The `recorded_key` of the row."""
    title: str = Field(default="", max_length=200)
    """Title of the row at that time."""
    changes: dict[str, Any] = Field(default_factory=dict)
    """Old and new value by column, [before, after]. For a secret, only the fact that it changed is stored."""
    address: str = Field(default="", max_length=64)

    def __str__(self) -> str:
        return f"{self.action.rpartition(':')[2].capitalize()} {self.identity} {self.title or self.row_id}".rstrip()


REPORT_PARAMETER = "_group"
"""Query parameter of a saved view that is a report."""


class SavedView(Model, table=True):
    """A name for the search, filters, order, columns and page size of a list, or for a report of its rows."""

    __tablename__ = "admin_saved_view"
    __table_args__ = (UniqueConstraint("owner_id", "identity", "name"),)

    owner_id: OwnerId = Field(index=False)
    identity: str = Field(max_length=100)
    """The model's name in the admin's URLs, such as `todo`."""
    name: Line = Field(min_length=1, max_length=60)
    query: Text = ""
    """Query string of the list."""
    group_id: int | None = Field(default=None, foreign_key="accounts_group.id", ondelete="SET NULL", index=True)
    """Group whose members may also open the view."""
    is_pinned: bool = False
    """Whether the menu has a link to the view."""
    schedule: str = Field(default="never", max_length=10, sa_column_kwargs={"server_default": "never"})
    """`never`, `daily`, `weekly` or `monthly`: when the owner gets the report by e-mail."""
    sent_on: date | None = None
    """Day of the last e-mail, or on which the schedule was set."""

    @property
    def is_report(self) -> bool:
        return any(name == REPORT_PARAMETER for name, _ in parse_qsl(self.query))

    def __str__(self) -> str:
        return self.name


class DefaultView(Model, table=True):
    """The view that a user sees when they open a list without parameters."""

    __tablename__ = "admin_default_view"
    __table_args__ = (UniqueConstraint("user_id", "identity"),)

    user_id: OwnerId = Field(index=False)
    identity: str = Field(max_length=100)
    view_id: int = Field(foreign_key="admin_saved_view.id", ondelete="CASCADE", index=True)


class DashboardLayout(Model, table=True):
    """The arrangement of a page of the dashboard, the first page of a user, or the dismissed steps of the checklist."""

    __tablename__ = "admin_dashboard"

    name: str = Field(max_length=100, unique=True)
    """`overview`, `group:` with an id, `user:` with an id, or `checklist`."""
    group_id: int | None = Field(default=None, foreign_key="accounts_group.id", ondelete="CASCADE", index=True)
    """Group of the page; None for the overview of superusers."""
    user_id: OwnerId | None = None
    """User whose first page this is."""
    widgets: dict[str, Any] = Field(default_factory=dict)
    """Keys of widgets and sections: `order` and `hidden`."""


class RowVersion(Model, table=True):
    """The values of a `Versioned` row after a change."""

    __tablename__ = "admin_row_version"
    __table_args__ = (Index("ix_admin_row_version_row", "model_table", "row_id"),)

    model_table: str = Field(max_length=100)
    """Table of the row, such as `books_book`."""
    row_id: str = Field(max_length=KEY_LENGTH)
    number: int
    """1 for the first version of a row."""
    at: datetime = Field(default_factory=utc_now, index=True)
    actor_id: int | None = Field(default=None, sa_type=BigId)
    """Id of the user. It is no foreign key, so that users can be deleted."""
    channel: str = Field(default="", max_length=100)
    """`admin`, `page`, `api` or `command`, or `job` or `tool` with its name. Empty for values from before."""
    values: dict[str, Any] = Field(default_factory=dict)
    """Values by column, as JSON. Secrets are left out."""


class ImportFile(Model, table=True):
    """An uploaded file of rows to import, from the choice of its columns to the result."""

    __tablename__ = "admin_import"

    owner_id: OwnerId
    identity: str = Field(max_length=100)
    """The model's name in the admin's URLs."""
    name: str = Field(max_length=100)
    """Name of the file, for display only."""
    content: bytes = b""
    """The table of the file. Emptied when it is imported, or not used for two days."""
    state: str = Field(default="uploaded", max_length=20)
    """`uploaded`, `checking`, `checked`, `importing` or `imported`."""
    choices: dict[str, Any] = Field(default_factory=dict)
    """The field and format of each column, and the language, as the user has chosen."""
    result: dict[str, Any] = Field(default_factory=dict)
    """Counts, first rows and errors of the last check or import."""
    done: int = 0
    """Number of rows that are checked."""
    total: int = 0
    created_at: datetime = Field(default_factory=utc_now, index=True)
