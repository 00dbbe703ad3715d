"""Page of recent account events."""

from typing import Annotated

from fastapi import Query, Request, Response

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.events.kinds import KINDS
from opportune.accounts.events.service import UserEvents, describe_event
from opportune.accounts.responses import show
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.pagination import Paging
from opportune.web.client import describe_user_agent
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/accounts/events")


@router.get("")
async def list_events(
    request: Request, user: CurrentUser, database: DatabaseDependency, paging: Annotated[Paging, Query()]
) -> Response:
    async with database.reader(fresh=True) as session:
        page = await UserEvents(session, user.id).list_page(paging)
    days = request.app.state.settings.account_event_days
    return show(
        request, "events", page=page, kinds=KINDS, words=describe_event, describe=describe_user_agent, days=days
    )
