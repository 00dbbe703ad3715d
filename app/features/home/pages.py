from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.core.web.templating import templates

router = APIRouter()


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    return templates.page(request, "home/home.html", {"features": request.app.state.features})
