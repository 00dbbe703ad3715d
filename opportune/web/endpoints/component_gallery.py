"""Gallery of the macros in `templates/macros/components.html`, for developers."""

from fastapi import Request, Response

from opportune.web.rendering.templates import templates
from opportune.web.routing.api_router import APIRouter

router = APIRouter(include_in_schema=False)


@router.get("/_components")
async def component_gallery(request: Request) -> Response:
    return templates.render(request, "components.html")
