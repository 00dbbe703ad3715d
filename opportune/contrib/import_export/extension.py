"""Buttons and pages that import and export the rows of a list."""

from collections.abc import Mapping
from typing import ClassVar

from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.contrib.import_export.export import export_page
from opportune.contrib.import_export.import_view import import_page


class ImportExportExtension(AdminExtension):
    pages = (
        ModelPage("export/{export_type}", export_page, ["GET"], "export", requires_list=False),
        ModelPage("import", import_page, ["GET", "POST"], "import", requires_list=False),
    )
    slots: ClassVar[Mapping[Slot, str]] = {"list_buttons": "import_export/buttons.html"}
