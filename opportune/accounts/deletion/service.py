"""Deletion of an account with all personal data of its features, and the export of the data."""

import asyncio
import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.deletion.personal_data import personal_data_of, read_rows, to_person
from opportune.accounts.events.service import notify_user
from opportune.accounts.groups.service import lock_superusers
from opportune.accounts.models import User
from opportune.accounts.users.context import AccountContext
from opportune.accounts.users.errors import CHANGED_MEANWHILE
from opportune.db.database import Database
from opportune.db.queries.batches import delete_dependents_in_batches
from opportune.db.sessions.trash import deleted_rows_included
from opportune.errors import Refused
from opportune.feature import Feature
from opportune.i18n import gettext_lazy as _l
from opportune.storage import MissingFileError, Storage

LAST_SUPERUSER = _l("You are the only superuser. Make another user superuser first.")
STILL_NEEDED = _l(
    "Other data of this site depends on your account, so it cannot be deleted. Contact the site's operators."
)


class DeletionRefused(Refused):
    """The account cannot be deleted; the message explains why."""


async def delete_account(context: AccountContext, database: Database, features: Sequence[Feature], user: User) -> None:
    """Delete the user and their personal data, and notify them by e-mail.

    Raises:
        DeletionRefused: with a message for the user. The account stays, but rows that depend on it may be deleted.
    """
    session = context.session
    await _check_may_delete(context, features, user)
    await context.manager.release()  # so that other requests can write during a long deletion
    await delete_dependents_in_batches(database, User, user.id)
    await _check_may_delete(context, features, user)
    try:
        async with session.begin_nested():
            await delete_personal_data(session, features, user)
            await context.manager.delete(user)
    except IntegrityError as error:
        raise DeletionRefused(STILL_NEEDED) from error
    notify_user(context, user, "account_deleted")


async def delete_personal_data(session: AsyncSession, features: Sequence[Feature], user: User) -> None:
    """Delete the personal data that no foreign key with ON DELETE CASCADE deletes, including the trash."""
    with deleted_rows_included(session, purges=True):
        for data in personal_data_of(features):
            if data.forget:
                await data.forget(session, to_person(user))


async def find_deletion_refusal(session: AsyncSession, features: Sequence[Feature], user: User) -> str:
    """Return why features still need this user, or an empty string."""
    reasons = [await data.refuse(session, to_person(user)) for data in personal_data_of(features) if data.refuse]
    return " ".join(filter(None, reasons))


async def _check_may_delete(context: AccountContext, features: Sequence[Feature], user: User) -> None:
    if user.is_superuser and await lock_superusers(context.session) <= {user.id}:
        raise DeletionRefused(LAST_SUPERUSER)
    if refusal := await find_deletion_refusal(context.session, features, user):
        raise DeletionRefused(refusal)
    if not await context.manager.is_unchanged(user):
        raise DeletionRefused(CHANGED_MEANWHILE)


async def read_personal_data(
    session: AsyncSession, features: Sequence[Feature], user: User
) -> dict[str, dict[str, Any]]:
    """Return all rows of this user, including the trash, by feature and table."""
    person = to_person(user)
    with deleted_rows_included(session):
        return {
            feature.name: await read_rows(session, feature.accounts.personal_data, person)
            for feature in features
            if feature.accounts.personal_data
        }


async def list_stored_files(session: AsyncSession, features: Sequence[Feature], user: User) -> list[str]:
    """Return the names of the user's stored files."""
    person = to_person(user)
    with deleted_rows_included(session):
        return [name for data in personal_data_of(features) if data.files for name in await data.files(session, person)]


async def make_archive(rows: bytes, storage: Storage, names: Sequence[str]) -> bytes:
    """Create a zip archive of the rows, which are JSON, and of the stored files. Missing files are skipped."""
    contents = {"data.json": rows}
    for name in names:
        with suppress(MissingFileError):
            contents[f"files/{name}"] = await storage.read(name)
    return await asyncio.to_thread(_zip_contents, contents)


def _zip_contents(contents: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
    return buffer.getvalue()
