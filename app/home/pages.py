from fastapi import APIRouter, Request, Response

from opportune.accounts import OptionalUser
from opportune.web import cached, render_panels, templates

router = APIRouter()


@router.get("/")
@cached(60, stale=300, query=())
async def home(request: Request, user: OptionalUser) -> Response:
    cards = await render_panels(request, (feature.site.home_card for feature in request.app.state.features), user)
    return templates.render(request, "home/home.html", {"cards": cards})


@router.get("/imprint")
async def imprint(request: Request) -> Response:
    return templates.render(request, "home/imprint.html")


@router.get("/privacy")
async def privacy(request: Request) -> Response:
    return templates.render(request, "home/privacy.html")


@router.get("/terms")
async def terms(request: Request) -> Response:
    return templates.render(request, "home/terms.html")
