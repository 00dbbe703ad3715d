"""Copying everything from one database into another, whole or not at all."""

from opportune.ops.copydb.checks import examine
from opportune.ops.copydb.copy import Progress, TableReport, copy

__all__ = ["Progress", "TableReport", "copy", "examine"]
