"""Buttons and pages that import and export the rows of a list."""

from collections.abc import Mapping
from typing import ClassVar

from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.contrib.import_export.downloads import faults_page, sample_page
from opportune.contrib.import_export.export import export_page
from opportune.contrib.import_export.import_view import file_page, upload_page


class ImportExportExtension(AdminExtension):
    pages = (
        ModelPage("export/{export_type}", export_page, ["GET"], "export", requires_list=False),
        ModelPage("import", upload_page, ["GET", "POST"], "import", requires_list=False),
        ModelPage("import/sample.{type}", sample_page, ["GET"], "import-sample", requires_list=False),
        ModelPage("import/{file_id}", file_page, ["GET", "POST"], "import-file", requires_list=False),
        ModelPage("import/{file_id}/errors.{type}", faults_page, ["GET"], "import-faults", requires_list=False),
    )
    slots: ClassVar[Mapping[Slot, str]] = {"list_buttons": "import_export/buttons.html"}
