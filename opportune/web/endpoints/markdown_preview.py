"""Preview of Markdown fields, requested by `fields.js` while the user types."""

from typing import Annotated

from fastapi import Form
from fastapi.responses import HTMLResponse

from opportune.web.rendering import markdown
from opportune.web.routing.api_router import APIRouter

MAX_PREVIEW_LENGTH = 20_000
"""Characters to render. Longer texts are cut."""

router = APIRouter(include_in_schema=False)


@router.post("/markdown-preview")
async def preview(text: Annotated[str, Form()] = "") -> HTMLResponse:
    """Render in a thread, because long texts take time."""
    return HTMLResponse(await markdown.in_thread(lambda: markdown.render(text[:MAX_PREVIEW_LENGTH])))
