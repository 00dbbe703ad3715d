"""Personal data in events: registrations with the user's verified e-mail address."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.models import Event, Registration
from app.events.service import delete_registrations
from opportune.feature import Person, PersonalData


async def read(session: AsyncSession, user: Person) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    query = select(Registration, Event).join(Event, col(Event.id) == col(Registration.event_id))
    rows = await session.execute(query.where(_is_registered_by(user)).order_by(col(Registration.id)))
    return {
        "registrations": [
            {"event": event.title, "starts_at": event.starts_at, **registration.model_dump(exclude={"event_id"})}
            for registration, event in rows
        ]
    }


async def list_photos(session: AsyncSession, user: Person) -> Sequence[str]:
    photos = select(col(Registration.photo)).where(_is_registered_by(user), col(Registration.photo) != "")
    return (await session.scalars(photos)).all()


async def forget(session: AsyncSession, user: Person) -> None:
    """Delete the registrations and their photos."""
    await delete_registrations(session, _is_registered_by(user))


def _is_registered_by(user: Person) -> ColumnElement[bool]:
    return (col(Registration.email) == user.email) & (user.email != "")


personal_data = PersonalData(
    summary="Your registrations for events, with your photos, if your e-mail is verified",
    read=read,
    files=list_photos,
    forget=forget,
)
