"""The page /admin/status, for superusers."""

from typing import cast

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.status.status import read_status, worst_state


class StatusAdmin(SuperuserOnly):
    name = "Status"
    icon, category = "ti ti-heartbeat", "Operations"

    @expose("/status", identity="status")
    async def show(self, request: Request) -> Response:
        groups = await read_status(request.app)
        context = {"model_view": self, "title": self.name, "groups": groups, "state": worst_state(groups)}
        return cast("Response", await self.templates.TemplateResponse(request, "admin/status.html", context))
