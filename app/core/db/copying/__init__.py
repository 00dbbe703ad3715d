"""Copying everything from one database into another, whole or not at all."""

from app.core.db.copying.copy import Progress, TableReport, copy
from app.core.db.copying.examining import examine

__all__ = ["Progress", "TableReport", "copy", "examine"]
