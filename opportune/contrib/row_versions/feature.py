"""The feature of row versions, which stores them in a table of the admin."""

from opportune.contrib.row_versions.recording import VERSIONING, delete_old_versions_daily
from opportune.feature import Feature

row_versions = Feature(
    name="row_versions",
    summary="Versions of rows whose model is Versioned.",
    requires=("admin",),
    hooks=VERSIONING,
    jobs=(delete_old_versions_daily,),
    admin_extension="opportune.contrib.row_versions.extension.RowVersionsExtension",
)
