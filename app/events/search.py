from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.events.schemas import EventFilter
from app.events.service import Events
from opportune.accounts import User
from opportune.feature import Link


async def search_events(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    page = await Events(session).list(EventFilter(q=query, size=limit))
    return [Link(event.title, f"/events/{event.slug}", "calendar-event") for event in page.items]
