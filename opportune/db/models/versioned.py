"""Models whose changes are kept as versions."""

from typing import ClassVar

from sqlmodel import SQLModel


class Versioned(SQLModel):
    """Mixin that keeps the values of each change of a row: `class Page(Model, Versioned, table=True)`."""

    keeps_history: ClassVar[bool] = True
    keep_version_days: ClassVar[int | None] = None
    """Days until a daily job deletes an older version. None keeps all versions of a row."""
