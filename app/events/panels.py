"""Panels and search results on other pages."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.events.schemas import EventFilter
from app.events.service import Events
from opportune.accounts import User
from opportune.feature import Link, Panel

MAX_SHOWN_EVENTS = 3
"""Events on the landing page."""


async def read_next_events(session: AsyncSession, _user: User | None) -> Mapping[str, Any]:
    return {"events": (await Events(session).list(EventFilter(size=MAX_SHOWN_EVENTS))).items}


home_card = Panel("events/home_card.html", read_next_events)


async def search_events(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    page = await Events(session).list(EventFilter(q=query, size=limit))
    return [Link(event.title, f"/events/{event.slug}", "calendar-event") for event in page.items]
