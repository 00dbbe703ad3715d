"""Import and export of lists in the admin, and downloads of CSV."""

from opportune.contrib.import_export.cells import csv_response

__all__ = ["csv_response"]
