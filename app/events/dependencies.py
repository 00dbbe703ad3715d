"""How routes get the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Path, Request

from app.events.registrations import Registrations
from app.events.schemas import Attendee
from app.events.service import Events
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.storage.storage import StorageDependency
from opportune.web.rate_limit import address_of

AN_HOUR = 3600
MOST = 60
"""Attempts of one address, mistyped ones too: a whole office may have but one."""

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=80)]
"""An event's name in a path: what none can have is not found."""


async def reading(session: ReadSession) -> Events:
    return Events(session)


async def reading_registrations(request: Request, session: ReadSession, storage: StorageDependency) -> Registrations:
    return Registrations(session, request.app.state.settings, storage)


async def writing_registrations(request: Request, session: WriteSession, storage: StorageDependency) -> Registrations:
    return Registrations(session, request.app.state.settings, storage)


ReadEvents = Annotated[Events, Depends(reading)]
ReadRegistrations = Annotated[Registrations, Depends(reading_registrations)]
WriteRegistrations = Annotated[Registrations, Depends(writing_registrations)]


async def count_visitor(request: Request) -> None:
    """Before the form is read: looking at a picture takes long.

    Raises:
        TooMany: not now.
    """
    await request.app.state.throttle.count("events.register", address_of(request), most=MOST, seconds=AN_HOUR)


async def count_letter(request: Request, new: Attendee) -> None:
    """Let nobody fill a stranger's mailbox.

    Raises:
        TooMany: not now.
    """
    await request.app.state.throttle.count("events.letter", new.email, most=5, seconds=AN_HOUR)


FewPerVisitor = Depends(count_visitor)
