from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.events.models import Registration
from opportune.jobs import JobContext, defer, job
from opportune.storage import ImageRefusedError, MissingFileError, shrink

FOLDER = "events"
WEBP = "image/webp"
MAX_SIDE_PIXELS = 800
"""Length of the longer side in pixels."""
MAX_ATTEMPTS = 12
"""Retries cover 34 minutes, because a storage can be unavailable and the original must be deleted."""


@job("events.shrink_photo", attempts=MAX_ATTEMPTS)
async def shrink_photo(run: JobContext, registration_id: int, original: str) -> None:
    """Replace the uploaded photo by a small one without metadata."""
    try:
        content = await shrink(await run.storage.read(original), MAX_SIDE_PIXELS)
        small = await run.storage.save(FOLDER, "webp", content, WEBP)
    except MissingFileError:
        if await is_used(run, registration_id, original):
            raise  # retry: the uploaded file still has its metadata
        return  # an earlier attempt deleted it, or the registration is cancelled
    except ImageRefusedError:
        small = ""
    # A retry gets the stored result of this step, which names the photo that the earlier attempt saved.
    used = await run.write(use_photo, registration_id, original, small)
    for name in {original, small} - {used, ""}:
        await run.storage.delete(name)


@job("events.delete_photos", attempts=MAX_ATTEMPTS)
async def delete_photos(run: JobContext, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)


async def delete_registrations(session: AsyncSession, condition: ColumnElement[bool]) -> int:
    """Delete registrations, queue the deletion of their photos, and return the number of rows."""
    photos = (await session.scalars(delete(Registration).where(condition).returning(col(Registration.photo)))).all()
    if names := [photo for photo in photos if photo]:
        defer(session, delete_photos(names))
    return len(photos)


async def is_used(run: JobContext, registration_id: int, photo: str) -> bool:
    async with run.database.reader(fresh=True) as session:
        registration = await session.get(Registration, registration_id)
    return registration is not None and registration.photo == photo


async def use_photo(session: AsyncSession, registration_id: int, original: str, small: str) -> str:
    """Store the small picture and return its name, or "" if the registration or its photo has changed."""
    registration = await session.get(Registration, registration_id)
    if registration is None or registration.photo != original:
        return ""
    registration.photo = small
    return small
