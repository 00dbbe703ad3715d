"""Dependencies that give routes the data layer. Tests put their own in its place with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Path, Request

from app.events.registrations import Registrations
from app.events.service import Events
from opportune.db import ReadSession, WriteSession
from opportune.storage import StorageDependency
from opportune.web import HOUR_SECONDS, RateLimit

REGISTRATIONS_PER_ADDRESS = RateLimit("events.register", 60, HOUR_SECONDS, storage="cache")
"""Mistyped ones too: a whole office may have but one address."""
EMAILS_PER_RECIPIENT = RateLimit("events.email", 5, HOUR_SECONDS, storage="cache")
"""Lets nobody fill a stranger's mailbox."""

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

# Before the form is read: looking at a picture takes long.
LimitedByAddress = Depends(REGISTRATIONS_PER_ADDRESS)
