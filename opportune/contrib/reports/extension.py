"""Button and pages of reports for all models."""

from collections.abc import Mapping
from typing import ClassVar

from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.contrib.reports.fields import PARAMETERS
from opportune.contrib.reports.pages import download_page, report_page


class ReportsExtension(AdminExtension):
    pages = (
        ModelPage("report", report_page, ["GET"], "report"),
        ModelPage("report/{type}", download_page, ["GET"], "report-file"),
    )
    slots: ClassVar[Mapping[Slot, str]] = {"list_buttons": "reports/button.html"}
    list_parameters = PARAMETERS
