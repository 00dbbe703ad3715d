"""Versions on the history page of a row in the admin, and the page that restores one."""

from collections.abc import Mapping
from typing import Any, ClassVar

from sqlalchemy import ColumnElement
from sqlmodel import col
from starlette.requests import Request

from opportune.admin.extensions import AdminExtension, ModelPage, Slot
from opportune.admin.models import AuditEntry
from opportune.contrib.row_versions.pages import first_version_time, load_versions, version_page


class RowVersionsExtension(AdminExtension):
    pages = (ModelPage("version/{pk:path}", version_page, ["GET", "POST"], "version", requires_list=False),)
    slots: ClassVar[Mapping[Slot, str]] = {"history": "row_versions/history.html"}

    async def log_condition(self, request: Request, view: Any, row: Any) -> ColumnElement[bool] | None:
        """Leave out the changes that the page shows as versions."""
        first_version = await first_version_time(view, row)
        if first_version is None:
            return None
        is_change = col(AuditEntry.action).in_(("create", "update"))
        return ~is_change | (col(AuditEntry.at) < first_version)

    versions_of = staticmethod(load_versions)
