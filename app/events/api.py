from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request

from app.events.dependencies import FewPerVisitor, ReadEvents, Slug, WriteRegistrations, count_letter
from app.events.schemas import Answer, Attendee, Coming, EventFilter, EventRead
from app.events.service import Closed
from opportune.accounts.permissions import FORBIDDEN, may
from opportune.pagination import Page, Paging

router = APIRouter(prefix="/events", tags=["events"])


@router.get("")
async def find(events: ReadEvents, wanted: Annotated[EventFilter, Query()]) -> Page[EventRead]:
    return await events.find(wanted)


@router.get("/{slug}")
async def read(events: ReadEvents, slug: Slug) -> EventRead:
    return await events.read(slug)


@router.get("/{slug}/registrations", dependencies=[may("registration", "list")], responses=FORBIDDEN)
async def who_comes(events: ReadEvents, slug: Slug, wanted: Annotated[Paging, Query()]) -> Page[Coming]:
    """For those at the door: they need the right that opens the same list in the admin."""
    return await events.who_comes(slug, wanted)


@router.post("/{slug}/registrations", status_code=202, dependencies=[FewPerVisitor])
async def register(request: Request, registrations: WriteRegistrations, slug: Slug, new: Attendee) -> Answer:
    """The answer is the same for an address that is registered already: its mailbox has the news."""
    await count_letter(request, new)
    try:
        await registrations.register(slug, new)
    except Closed as closed:
        raise HTTPException(409, str(closed)) from closed
    return Answer(detail="Look into your mailbox: we have sent you a confirmation.")
