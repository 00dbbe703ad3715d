"""Stored attachments, such as files that users send. Only their owner can see them."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Protocol
from weakref import WeakValueDictionary

from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer as unread
from sqlmodel import col

from opportune.accounts.models import User
from opportune.contrib.answers.models import AnswerAttachment
from opportune.contrib.llm.attachments import MAX_ATTACHMENTS, Attachment, AttachmentRefused, read_attachment
from opportune.db.hooks.registry import before_delete
from opportune.i18n import gettext
from opportune.i18n import gettext_lazy as _l
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.storage import Storage
from opportune.storage.storage import deleting_files_on_error, new_name
from opportune.web.forms.uploads import display_name

FOLDER = "attachments"
TOO_MANY = _l("Please attach at most %(num)s files.")

_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""Locks of users whose files are being read."""


class SentFile(Protocol):
    """A received file: an `Upload` of a form, or an object with the same attributes."""

    @property
    def filename(self) -> str: ...
    @property
    def content(self) -> bytes: ...


@asynccontextmanager
async def stored_attachments(
    storage: Storage, owner_id: int, sent: Sequence[SentFile]
) -> AsyncIterator[list[AnswerAttachment]]:
    """Read and store files, and yield their rows.

    Set the `topic` of each row and add it to a session inside the block. Files of rows that are not added are deleted;
    if the block raises an exception, all are. Open the session inside the block, because reading files takes time.

    Raises:
        AttachmentRefused: A file cannot be read, or there are too many.
        StorageError: The storage is not available.
    """
    if len(sent) > MAX_ATTACHMENTS:
        raise AttachmentRefused(gettext(TOO_MANY, num=MAX_ATTACHMENTS))
    rows: list[AnswerAttachment] = []
    # The lock makes a user with many slow documents delay others by at most one document.
    lock = _locks.setdefault(owner_id, asyncio.Lock())
    async with deleting_files_on_error(storage) as new_files:
        for file in sent:
            async with lock:
                attachment = await read_attachment(display_name(file.filename), file.content)
            content = attachment.picture.content if attachment.picture else file.content
            row = _attachment_row(owner_id, attachment, len(content))
            new_files.append(row.stored_as)
            await storage.put(row.stored_as, content, row.content_type)
            rows.append(row)
        yield rows
    for row in rows:
        if not row.id:
            await storage.delete(row.stored_as)


def _attachment_row(owner_id: int, attachment: Attachment, size_bytes: int) -> AnswerAttachment:
    """Return the row of a re-encoded picture, or of another file as it was sent."""
    picture = attachment.picture
    return AnswerAttachment(
        owner_id=owner_id,
        filename=attachment.filename,
        content_type=picture.content_type if picture else "application/octet-stream",
        size_bytes=size_bytes,
        stored_as=new_name(FOLDER, "jpg" if picture else "bin"),
        text=attachment.text,
        omitted=attachment.omitted,
    )


async def find_attachments(
    session: AsyncSession, owner_id: int, ids: Collection[int], *, with_text: bool = False
) -> dict[int, AnswerAttachment]:
    """Return the user's attachments by id. Deleted ones and those of other users are missing.

    The texts of documents, which may be long, are only loaded `with_text`.
    """
    if not ids:
        return {}
    is_owner = col(AnswerAttachment.owner_id) == owner_id
    query = select(AnswerAttachment).where(col(AnswerAttachment.id).in_(ids), is_owner)
    if not with_text:
        query = query.options(unread(col(AnswerAttachment.text), raiseload=True))  # type: ignore[arg-type]
    return {row.id: row for row in await session.scalars(query)}


async def delete_attachments(session: AsyncSession, condition: ColumnElement[bool]) -> None:
    """Delete the attachments that meet a condition, and their files after the commit."""
    if names := (await session.scalars(select(col(AnswerAttachment.stored_as)).where(condition))).all():
        await session.execute(delete(AnswerAttachment).where(condition))
        defer(session, delete_files([*names]))


@before_delete(User)
async def delete_attachments_of_user(session: AsyncSession, user: User) -> None:
    await delete_attachments(session, col(AnswerAttachment.owner_id) == user.id)
