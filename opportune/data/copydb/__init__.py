"""Copying everything from one database into another, whole or not at all."""

from opportune.data.copydb.checks import examine
from opportune.data.copydb.copy import Progress, TableReport, copy

__all__ = ["Progress", "TableReport", "copy", "examine"]
