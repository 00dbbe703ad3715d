"""What Markdown looks like before it is sent: `fields.js` asks for it while somebody writes."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import HTMLResponse

from opportune.web.rendering import markdown

MAX_PREVIEW_LENGTH = 20_000
"""Characters that are drawn; what comes after them is left out."""

router = APIRouter(include_in_schema=False)


@router.post("/markdown-preview")
async def preview(text: Annotated[str, Form()] = "") -> HTMLResponse:
    """In a thread: a text may be made to take long."""
    return HTMLResponse(await markdown.in_thread(lambda: markdown.render(text[:MAX_PREVIEW_LENGTH])))
