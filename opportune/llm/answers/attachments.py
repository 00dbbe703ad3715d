"""Files that people show to models, as features keep them: stored for their owner alone, and read once."""

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
from opportune.db.hooks.registry import before_delete
from opportune.fields.files import deleted_unless_done
from opportune.jobs import defer
from opportune.jobs.stored_files import delete_files
from opportune.llm.answers.models import AnswerAttachment
from opportune.llm.documents.attachment import JPEG, MAX_ATTACHMENTS, AttachmentRefused, read_attachment
from opportune.storage import Storage
from opportune.storage.storage import new_name
from opportune.web.forms.uploads import display_name

FOLDER = "attachments"
TOO_MANY = f"Please attach at most {MAX_ATTACHMENTS} files at once."

_turns: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""Those of people who have files read."""


class SentFile(Protocol):
    """A file as it comes in: an `Upload` of a form, or what an API takes."""

    @property
    def filename(self) -> str: ...
    @property
    def content(self) -> bytes: ...


@asynccontextmanager
async def stored_attachments(
    storage: Storage, owner_id: int, sent: Sequence[SentFile]
) -> AsyncIterator[list[AnswerAttachment]]:
    """Rows for files that a person sends, read and stored: give them a `topic` and add them to a session in the block.

    The files of those that are not added, and of all unless the block ends well, are deleted again. Open the session in
    the block: reading takes its time.

    Raises:
        AttachmentRefused: one cannot be read, or there are too many.
        StorageError: nothing can be kept at the moment.
    """
    if len(sent) > MAX_ATTACHMENTS:
        raise AttachmentRefused(TOO_MANY)
    rows: list[AnswerAttachment] = []
    # Documents are read one at a time: who sends many that take long keeps nobody else waiting for more than one.
    turn = _turns.setdefault(owner_id, asyncio.Lock())
    async with deleted_unless_done(storage) as new:
        for file in sent:
            async with turn:
                shown = await read_attachment(display_name(file.filename), file.content)
            content = shown.picture.content if shown.picture else file.content
            content_type, suffix = (JPEG, "jpg") if shown.picture else ("application/octet-stream", "bin")
            row = AnswerAttachment(
                owner_id=owner_id,
                filename=shown.filename,
                content_type=content_type,
                size_bytes=len(content),
                stored_as=new_name(FOLDER, suffix),
                text=shown.text,
                omitted=shown.omitted,
            )
            new.append(row.stored_as)
            await storage.put(row.stored_as, content, content_type)
            rows.append(row)
        yield rows
    for row in rows:
        if not row.id:
            await storage.delete(row.stored_as)


async def find_attachments(
    session: AsyncSession, owner_id: int, ids: Collection[int], *, with_text: bool = False
) -> dict[int, AnswerAttachment]:
    """Files of this person by their ids; what is gone or another's is missing. Their texts are long: say if wanted."""
    query = select(AnswerAttachment).where(
        col(AnswerAttachment.id).in_(ids), col(AnswerAttachment.owner_id) == owner_id
    )
    if not with_text:
        query = query.options(unread(col(AnswerAttachment.text), raiseload=True))  # type: ignore[arg-type]
    return {row.id: row for row in await session.scalars(query)} if ids else {}


async def delete_attachments(session: AsyncSession, condition: ColumnElement[bool]) -> None:
    """Delete the rows of which this is true, and their files when that is committed."""
    if names := (await session.scalars(select(col(AnswerAttachment.stored_as)).where(condition))).all():
        await session.execute(delete(AnswerAttachment).where(condition))
        defer(session, delete_files([*names]))


@before_delete(User)
async def delete_theirs(session: AsyncSession, user: User) -> None:
    await delete_attachments(session, col(AnswerAttachment.owner_id) == user.id)
