"""Answers read aloud. The audio is made once, and stored as an attachment that only the owner can hear."""

import asyncio
import hashlib
import re
from html import unescape
from weakref import WeakValueDictionary

from sqlalchemy import select
from sqlmodel import col

from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.llm import LanguageModel
from opportune.db import Database
from opportune.storage import Storage
from opportune.storage.cleanup import deleting_files_on_error
from opportune.web import markdown

FOLDER = "speech"
CODE_BLOCK = re.compile("<pre.*?</pre>", re.DOTALL)
TAG = re.compile("<[^>]*>")

_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""Locks of answers whose audio is being made, so that a double click makes it once."""


async def find_speech(database: Database, answer: Answer) -> AnswerAttachment | None:
    """Return the audio of the current text of an answer, if it was made."""
    query = select(AnswerAttachment).where(
        col(AnswerAttachment.topic) == answer.topic,
        col(AnswerAttachment.owner_id) == answer.owner_id,
        col(AnswerAttachment.filename) == _filename(answer),
    )
    async with database.reader(fresh=True) as session:
        return (await session.scalars(query.limit(1))).one_or_none()


async def make_speech(database: Database, storage: Storage, llm: LanguageModel, answer: Answer) -> None:
    """Make and store the audio of an answer, if it does not exist. A long text ends at the limit of the model.

    Raises:
        LlmError: The site has no model for it, or the call failed.
        StorageError: The storage is not available.
    """
    lock = _locks.setdefault(answer.id, asyncio.Lock())
    async with lock:
        if await find_speech(database, answer):
            return
        speech = await llm.speech(await _spoken_text(answer, llm))
        async with deleting_files_on_error(storage) as new_names:
            name = await storage.save(FOLDER, "mp3", speech.content, speech.content_type)
            new_names.append(name)
            row = AnswerAttachment(
                owner_id=answer.owner_id,
                topic=answer.topic,
                filename=_filename(answer),
                content_type=speech.content_type,
                size_bytes=len(speech.content),
                stored_as=name,
            )
            async with database.writer() as session:
                session.add(row)


def _filename(answer: Answer) -> str:
    """Return a name that changes with the text, so that the audio of an older text is not found."""
    return f"answer-{answer.id}-{hashlib.sha256(answer.text.encode()).hexdigest()[:16]}.mp3"


async def _spoken_text(answer: Answer, llm: LanguageModel) -> str:
    """Return the text without code, cut after the last sentence that the model accepts."""
    html = CODE_BLOCK.sub("", await markdown.render_in_thread(answer.text))
    text = unescape(TAG.sub("", html)).strip()
    model = llm.media.model("speech")
    if model is None or len(text) <= model.max_chars:
        return text
    sentences_end = text.rfind(". ", 0, model.max_chars) + 1
    return text[: sentences_end or model.max_chars]
