"""Base class of the pages below /admin/operations, which features can also use."""

from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.authorization import SuperuserOnly
from opportune.admin.operations.reauthentication import OPERATIONS_PATH


class OperationsPage(SuperuserOnly):
    """Base of the pages below Operations. They have no menu entry; the entry Operations is highlighted instead."""

    name = "Operations"
    icon = "ti ti-tool"

    def is_visible(self, request: Request) -> bool:
        return False

    async def render(self, request: Request, template: str, context: Mapping[str, Any]) -> Response:
        base_context = {"model_view": self, "menu_entry": "operations", "title": self.name, "page": OPERATIONS_PATH}
        return cast("Response", await self.templates.TemplateResponse(request, template, {**base_context, **context}))
