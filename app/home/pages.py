from fastapi import Request, Response

from opportune.accounts import OptionalUser
from opportune.crud import latest_rows
from opportune.web import APIRouter, cached, render_panels, templates

router = APIRouter()


@router.get("/")
@cached(60, stale=300, query=())
async def home(request: Request, user: OptionalUser) -> Response:
    """Show the landing page to visitors, and to users a start page with their own rows."""
    cards = (feature.site.home_card for feature in request.app.state.features)
    context = {"cards": await render_panels(request, cards, user), "lists": await latest_rows(request, user)}
    return templates.render(request, "start.html" if user else "home/home.html", context)


@router.get("/imprint")
async def imprint(request: Request) -> Response:
    return templates.render(request, "home/imprint.html")


@router.get("/privacy")
async def privacy(request: Request) -> Response:
    return templates.render(request, "home/privacy.html")


@router.get("/terms")
async def terms(request: Request) -> Response:
    return templates.render(request, "home/terms.html")
