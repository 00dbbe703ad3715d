"""The page /admin/status, for superusers."""

from sqladmin import expose
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.status.status import read_status, worst_state
from opportune.admin.templates import render_page


class StatusAdmin(SuperuserOnly):
    name = "Status"
    icon, category = "ti ti-heartbeat", "Operations"

    @expose("/status", identity="status")
    async def show(self, request: Request) -> Response:
        groups = await read_status(request.app)
        context = {"title": self.name, "groups": groups, "state": worst_state(groups)}
        return await render_page(request, self, "admin/status.html", context)
