"""The feature that imports and exports the rows of the admin's lists."""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_
from sqlmodel import col

from opportune.admin.models import ImportFile
from opportune.contrib.import_export.jobs import process_file
from opportune.db.clock import utc_now
from opportune.db.queries.batches import older_than
from opportune.feature import Admin, Cleanup, Feature, Jobs

CONTENT_DAYS = 2
"""Days after which the content of a file is deleted."""
MEMORY_DAYS = 365
"""Days for which the fields of its headings are remembered."""


def has_old_content(_settings: Any) -> Any:
    return and_(col(ImportFile.created_at) < utc_now() - timedelta(CONTENT_DAYS), col(ImportFile.content) != b"")


import_export = Feature(
    "import_export",
    "Import and export of the admin's lists as CSV, Excel and JSON.",
    requires=("admin",),
    admin=Admin(extension="opportune.contrib.import_export.extension.ImportExportExtension"),
    jobs=Jobs(
        (process_file,),
        cleanups=(
            Cleanup(ImportFile, has_old_content, {"content": b""}),
            Cleanup(ImportFile, lambda _: older_than(ImportFile.created_at, MEMORY_DAYS)),
        ),
    ),
)
