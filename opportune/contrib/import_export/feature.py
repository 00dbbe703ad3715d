"""The feature that imports and exports the rows of the admin's lists."""

from opportune.feature import Admin, Feature

import_export = Feature(
    "import_export",
    "Import and export of the admin's lists as CSV and JSON.",
    requires=("admin",),
    admin=Admin(extension="opportune.contrib.import_export.extension.ImportExportExtension"),
)
