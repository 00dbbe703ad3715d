from typing import Annotated

from fastapi import HTTPException, Query

from app.events.dependencies import EMAILS_PER_RECIPIENT, LimitedByAddress, ReadEvents, Slug, WriteRegistrations
from app.events.schemas import EventFilter, EventRead, Message, RegistrationCreate, RegistrationRead
from app.events.service import RegistrationClosed
from opportune.accounts import FORBIDDEN, may
from opportune.i18n import gettext as _
from opportune.pagination import Page, Paging
from opportune.web import APIRouter, Limiter

router = APIRouter(prefix="/events", tags=["events"])


@router.get("", name="list")
async def list_events(events: ReadEvents, filters: Annotated[EventFilter, Query()]) -> Page[EventRead]:
    return await events.list(filters)


@router.get("/{slug}", name="get")
async def get_event(events: ReadEvents, slug: Slug) -> EventRead:
    return await events.get(slug)


@router.get("/{slug}/registrations", dependencies=[may("registration", "list")], responses=FORBIDDEN)
async def list_attendees(events: ReadEvents, slug: Slug, filters: Annotated[Paging, Query()]) -> Page[RegistrationRead]:
    """List attendees for check-in. Requires the permission that opens the same list in the admin."""
    return await events.list_attendees(slug, filters)


@router.post("/{slug}/registrations", status_code=202, dependencies=[LimitedByAddress])
async def register(registrations: WriteRegistrations, limiter: Limiter, slug: Slug, new: RegistrationCreate) -> Message:
    """Register. The response is the same if the address is already registered; the e-mail explains it."""
    await limiter.hit(EMAILS_PER_RECIPIENT.by(new.email))
    try:
        await registrations.register(slug, new)
    except RegistrationClosed as closed:
        raise HTTPException(409, str(closed)) from closed
    return Message(detail=_("We have sent you a confirmation. Check your e-mail."))
