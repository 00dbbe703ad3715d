"""The feature that imports and exports the rows of the admin's lists."""

from opportune.feature import Feature

import_export = Feature(
    name="import_export",
    summary="Import and export of the admin's lists as CSV and JSON.",
    requires=("admin",),
    admin_extension="opportune.contrib.import_export.extension.ImportExportExtension",
)
