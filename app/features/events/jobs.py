from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import Run, job
from app.core.storage import MissingFileError
from app.core.storage.images import ImageRefusedError, shrink
from app.features.events.models import Registration

FOLDER = "events"
LARGEST = 800
"""Pixels of the longer side."""


@job("events.shrink_photo")
async def shrink_photo(run: Run, registration_id: int, original: str) -> None:
    """Put a small picture without metadata in the place of what was sent, which is deleted."""
    try:
        small = await run.storage.save(FOLDER, "webp", await shrink(await run.storage.read(original), LARGEST), WEBP)
    except MissingFileError:
        return  # an earlier try has deleted it, or the registration was cancelled
    except ImageRefusedError:
        small = ""
    # Of a try that was cut short after this the answer is its own picture, not this one.
    used = await run.write(use_photo, registration_id, original, small)
    for name in {original, small} - {used, ""}:
        await run.storage.delete(name)


@job("events.delete_photos")
async def delete_photos(run: Run, names: Sequence[str]) -> None:
    for name in names:
        await run.storage.delete(name)


async def use_photo(session: AsyncSession, registration_id: int, original: str, small: str) -> str:
    """The picture that is used from now on, or nothing if the registration is gone."""
    registration = await session.get(Registration, registration_id)
    if registration is None or registration.photo != original:
        return ""
    registration.photo = small
    return small


WEBP = "image/webp"
