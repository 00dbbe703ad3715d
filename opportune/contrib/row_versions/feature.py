"""The feature of row versions, which stores them in a table of the admin."""

from opportune.contrib.row_versions.recording import VERSIONING, delete_old_versions_daily
from opportune.feature import Admin, Feature, Jobs

row_versions = Feature(
    "row_versions",
    "Versions of rows whose model is Versioned.",
    requires=("admin",),
    hooks=VERSIONING,
    jobs=Jobs((delete_old_versions_daily,)),
    admin=Admin(extension="opportune.contrib.row_versions.pages.RowVersionsExtension"),
)
