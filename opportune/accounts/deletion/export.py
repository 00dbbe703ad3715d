"""Export of a user's personal data."""

import asyncio
import io
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from opportune.accounts.deletion.personal_data import personal_data_of, read_rows, to_person
from opportune.accounts.models import User
from opportune.db.sessions.trash import deleted_rows_included
from opportune.feature import Feature
from opportune.storage import MissingFileError, Storage


async def read_personal_data(
    session: AsyncSession, features: Sequence[Feature], user: User
) -> dict[str, dict[str, Any]]:
    """Return all rows of this user, including the trash, by feature and table."""
    person = to_person(user)
    with deleted_rows_included(session):
        return {
            feature.name: await read_rows(session, feature.personal_data, person)
            for feature in features
            if feature.personal_data
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
