"""Copy one database into another in a single transaction."""

from opportune.ops.copydb.checks import examine
from opportune.ops.copydb.copy import Progress, TableReport, copy

__all__ = ["Progress", "TableReport", "copy", "examine"]
