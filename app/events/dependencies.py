"""Dependencies that provide the data layer to routes. Tests can replace them with `app.dependency_overrides`."""

from typing import Annotated

from fastapi import Depends, Path, Request

from app.events.registrations import Registrations
from app.events.service import Events
from opportune.db import ReadSession, WriteSession
from opportune.storage import StorageDependency
from opportune.web import HOUR_SECONDS, RateLimit

REGISTRATIONS_PER_IP = RateLimit("events.register", 60, HOUR_SECONDS, storage="cache")
"""Invalid forms also count. The limit is high, because a whole office may share one address."""
EMAILS_PER_RECIPIENT = RateLimit("events.email", 5, HOUR_SECONDS, storage="cache")
"""Prevents flooding of another person's mailbox."""

Slug = Annotated[str, Path(pattern=r"^[a-z0-9-]+$", max_length=80)]
"""Slug of an event in a path. An invalid slug is a 404."""


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

# Dependencies run before the form is read, and decoding a picture takes long.
LimitedByAddress = Depends(REGISTRATIONS_PER_IP)
