"""How routes get the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Path, Request

from app.events.registrations import Registrations
from app.events.schemas import RegistrationCreate
from app.events.service import Events
from opportune.db.sessions.dependencies import ReadSession, WriteSession
from opportune.storage.storage import StorageDependency
from opportune.web.rate_limit import client_address

RATE_LIMIT_SECONDS = 3600
MAX_ATTEMPTS = 60
"""Attempts of one address, mistyped ones too: a whole office may have but one."""

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=80)]
"""An event's name in a path: what none can have is not found."""


async def get_events(session: ReadSession) -> Events:
    return Events(session)


async def get_registrations(request: Request, session: ReadSession, storage: StorageDependency) -> Registrations:
    return Registrations(session, request.app.state.settings, storage)


async def get_writable_registrations(
    request: Request, session: WriteSession, storage: StorageDependency
) -> Registrations:
    return Registrations(session, request.app.state.settings, storage)


ReadEvents = Annotated[Events, Depends(get_events)]
ReadRegistrations = Annotated[Registrations, Depends(get_registrations)]
WriteRegistrations = Annotated[Registrations, Depends(get_writable_registrations)]


async def limit_by_address(request: Request) -> None:
    """Before the form is read: looking at a picture takes long.

    Raises:
        TooMany: not now.
    """
    await request.app.state.rate_limiter.hit(
        "events.register", client_address(request), most=MAX_ATTEMPTS, seconds=RATE_LIMIT_SECONDS
    )


async def limit_by_email(request: Request, new: RegistrationCreate) -> None:
    """Let nobody fill a stranger's mailbox.

    Raises:
        TooMany: not now.
    """
    await request.app.state.rate_limiter.hit("events.email", new.email, most=5, seconds=RATE_LIMIT_SECONDS)


LimitedByAddress = Depends(limit_by_address)
