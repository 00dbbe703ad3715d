"""Copy one database into another in a single transaction."""

from opportune.contrib.copydb.checks import examine
from opportune.contrib.copydb.copy import Progress, TableReport, copy

__all__ = ["Progress", "TableReport", "copy", "examine"]
