"""API of recent account events."""

from typing import Annotated

from fastapi import Query

from opportune.accounts.dependencies import CurrentUser
from opportune.accounts.events.service import UserEvents, describe_event
from opportune.accounts.models import AccountEvent
from opportune.accounts.schemas import AccountEventRead
from opportune.db.sessions.dependencies import DatabaseDependency
from opportune.pagination import Page, Paging
from opportune.web.client import describe_user_agent
from opportune.web.routing.api_router import APIRouter

router = APIRouter(prefix="/users/me/events", tags=["accounts"])


@router.get("")
async def list_events(
    user: CurrentUser, database: DatabaseDependency, paging: Annotated[Paging, Query()]
) -> Page[AccountEventRead]:
    """Return sign-ins and changes of the account, newest first."""
    async with database.reader(fresh=True) as session:
        page = await UserEvents(session, user.id).list_page(paging)
    return Page[AccountEventRead](
        items=[make_event_read(event) for event in page.items], total=page.total, page=page.page, pages=page.pages
    )


def make_event_read(event: AccountEvent) -> AccountEventRead:
    device = describe_user_agent(event.agent) if event.agent else ""
    by_staff = event.actor_id is not None
    return AccountEventRead(**event.model_dump(), words=describe_event(event), device=device, by_staff=by_staff)
