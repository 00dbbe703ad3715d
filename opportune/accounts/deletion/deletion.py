"""Taking along all that the site knows of oneself, and leaving it."""

import asyncio
import io
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from opportune.accounts import emails
from opportune.accounts.groups.service import lock_superusers
from opportune.accounts.manager import UserManager
from opportune.accounts.models import User
from opportune.db.batches import delete_dependents_in_batches
from opportune.db.database import Database
from opportune.feature import Feature, Person, PersonalData
from opportune.settings import Settings
from opportune.storage import MissingFileError, Storage

CHANGED_MEANWHILE = "Your account was changed at the same moment. Please try again."
LAST_SUPERUSER = "You are the only superuser: nobody could run the site. Make somebody else one first."


class DeletionRefused(Exception):  # noqa: N818 - it is an answer, not a fault
    """Somebody cannot leave; the message says why, to them."""


async def read_personal_data(
    session: AsyncSession, features: Sequence[Feature], user: User
) -> dict[str, dict[str, Any]]:
    """All rows of this person, by feature and kind."""
    person = _person(user)
    return {
        feature.name: dict(await feature.personal_data.read(session, person))
        for feature in features
        if feature.personal_data
    }


async def list_stored_files(session: AsyncSession, features: Sequence[Feature], user: User) -> list[str]:
    """The names of all stored files of this person."""
    person = _person(user)
    return [name for kept in _kept(features) if kept.files for name in await kept.files(session, person)]


async def delete_account(
    database: Database, manager: UserManager, settings: Settings, features: Sequence[Feature], user: User
) -> None:
    """Remove the user and all that features keep of the person, who is told so by mail.

    Raises:
        StayError: with a sentence; nothing was removed, unless their rows are so many that they go before.
    """
    session = manager.session
    await _check_may_delete(manager, user)
    await session.rollback()  # others write while much is deleted
    await delete_dependents_in_batches(database, User, user.id)
    await _check_may_delete(manager, user)
    for kept in _kept(features):
        if kept.forget:
            await kept.forget(session, _person(user))
    await session.execute(delete(User).where(col(User.id) == user.id))
    emails.send_account_email(session, settings, user.email, "left", email=user.email)


async def _check_may_delete(manager: UserManager, user: User) -> None:
    if user.is_superuser and await lock_superusers(manager.session) <= {user.id}:
        raise DeletionRefused(LAST_SUPERUSER)
    if not await manager.is_unchanged(user):
        raise DeletionRefused(CHANGED_MEANWHILE)


async def make_archive(rows: bytes, storage: Storage, names: Sequence[str]) -> bytes:
    """A zip archive of the rows, written as JSON, and of the files that are still there."""
    contents = {"data.json": rows}
    for name in names:
        with suppress(MissingFileError):
            contents[f"files/{name}"] = await storage.read(name)
    return await asyncio.to_thread(_zipped, contents)


def _zipped(contents: dict[str, bytes]) -> bytes:
    import zipfile  # noqa: PLC0415 - with the kinds of compression it knows, for few

    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return target.getvalue()


def _kept(features: Sequence[Feature]) -> list[PersonalData]:
    return [feature.personal_data for feature in features if feature.personal_data]


def _person(user: User) -> Person:
    return Person(user.id, user.email if user.is_verified else "")
