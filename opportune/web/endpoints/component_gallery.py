"""Gallery of the macros in `templates/macros/components.html`, for developers."""

from fastapi import APIRouter, Request, Response

from opportune.web.rendering.templates import templates

router = APIRouter(include_in_schema=False)


@router.get("/_components")
async def component_gallery(request: Request) -> Response:
    return templates.render(request, "components.html")
