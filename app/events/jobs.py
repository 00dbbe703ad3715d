from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.models import Registration
from opportune.jobs import JobContext, defer, job
from opportune.storage import ImageRefusedError, MissingFileError, shrink

FOLDER = "events"
MAX_SIDE_PIXELS = 800
"""Pixels of the longer side."""
MAX_ATTEMPTS = 12
"""Spread over 34 minutes: a storage may be away for a while, and what people sent has to go."""


@job("events.shrink_photo", attempts=MAX_ATTEMPTS)
async def shrink_photo(run: JobContext, registration_id: int, original: str) -> None:
    """Put a small picture without metadata in the place of what was sent, which is deleted."""
    try:
        small = await run.storage.save(
            FOLDER, "webp", await shrink(await run.storage.read(original), MAX_SIDE_PIXELS), WEBP
        )
    except MissingFileError:
        if await is_used(run, registration_id, original):
            raise  # its place is away: what was sent still has its metadata
        return  # an earlier try has deleted it, or the registration was cancelled
    except ImageRefusedError:
        small = ""
    # Of a try that was cut short after this the answer is its own picture, not this one.
    used = await run.write(use_photo, registration_id, original, small)
    for name in {original, small} - {used, ""}:
        await run.storage.delete(name)


@job("events.delete_photos", attempts=MAX_ATTEMPTS)
async def delete_photos(run: JobContext, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)


async def delete_registrations(session: AsyncSession, which: ColumnElement[bool]) -> int:
    """Delete these, have their photos deleted, and give their number."""
    photos = (await session.scalars(delete(Registration).where(which).returning(col(Registration.photo)))).all()
    if kept := [photo for photo in photos if photo]:
        defer(session, delete_photos(kept))
    return len(photos)


async def is_used(run: JobContext, registration_id: int, photo: str) -> bool:
    async with run.database.reader(fresh=True) as session:
        registration = await session.get(Registration, registration_id)
    return registration is not None and registration.photo == photo


async def use_photo(session: AsyncSession, registration_id: int, original: str, small: str) -> str:
    """Use the small picture from now on, and give the one that is used; nothing if the registration is gone."""
    registration = await session.get(Registration, registration_id)
    if registration is None or registration.photo != original:
        return ""
    registration.photo = small
    return small


WEBP = "image/webp"
