"""Recorded questions, and answers read aloud.

The audio is made once, and stored as an attachment that only the owner can hear.
"""

import asyncio
import hashlib
import re
from html import unescape
from weakref import WeakValueDictionary

from fastapi import HTTPException, Request
from fastapi.responses import Response
from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.answers.models import Answer, AnswerAttachment
from opportune.contrib.answers.screens.dependencies import Answers, CurrentAnswer
from opportune.contrib.llm import LanguageModel, Llm, LlmError
from opportune.contrib.llm.media.calls import NO_TEXT
from opportune.db import Database
from opportune.errors import require_found
from opportune.storage import Storage
from opportune.storage.storage import deleting_files_on_error
from opportune.web import APIRouter, Upload, is_htmx, markdown, read_form, redirect, templates
from opportune.web.stored_files import file_headers, file_response

CODE_BLOCK = re.compile("<pre.*?</pre>", re.DOTALL)
TAG = re.compile("<[^>]*>")
SENTENCE_END = re.compile(r"[.!?\u2026\u061f](?=\s)|[\u3002\uff01\uff1f]|\n")
MAX_AGE_SECONDS = 3_600
_locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()
"""Locks of answers whose audio is being made, so that a double click makes it once."""

router = APIRouter(prefix="/answers")


class Recording(BaseModel):
    recording: Upload


@router.post("/transcriptions")
async def transcribe(request: Request, user: CurrentUser, llm: Llm) -> dict[str, str]:
    """Return the words of a recording, for the field of a question."""
    form = await read_form(request, Recording)
    if form.data is None:
        raise HTTPException(422, " ".join(form.errors.values()))
    try:
        return {"text": await llm.transcribe(form.data.recording.content, form.data.recording.filename)}
    except LlmError as error:
        if error.code == "rejected":  # the recording, not the model, is at fault
            raise HTTPException(422, str(error)) from None
        raise


@router.post("/{answer_id}/speech")
async def read_aloud(request: Request, answer: CurrentAnswer, answers: Answers, llm: Llm) -> Response:
    """Make the audio of an answer once, and play it."""
    if answer.is_running or not answer.text:
        raise HTTPException(409)
    if not (text := await _spoken_text(answer, llm)):
        raise HTTPException(422, str(NO_TEXT))
    await _make_speech(answers.database, answers.storage, llm, answer, text)
    if is_htmx(request):
        return templates.render_block(request, "answers/player.html", "player", {"answer": answer})
    return redirect(request, f"/answers/{answer.id}/speech")


@router.get("/{answer_id}/speech")
async def speech(request: Request, answer: CurrentAnswer, answers: Answers) -> Response:
    """Return the audio of an answer to its owner."""
    row = require_found(await _find_speech(answers.database, answer))
    headers = file_headers(row.stored_as, "", MAX_AGE_SECONDS)
    headers |= {"Content-Type": row.content_type, "Content-Disposition": "inline"}
    return await file_response(request, answers.storage, row.stored_as, headers)


async def _find_speech(database: Database, answer: Answer) -> AnswerAttachment | None:
    """Return the audio of the current text of an answer, if it was made."""
    query = select(AnswerAttachment).where(
        col(AnswerAttachment.topic) == answer.topic,
        col(AnswerAttachment.owner_id) == answer.owner_id,
        col(AnswerAttachment.filename) == _filename(answer),
    )
    async with database.reader(fresh=True) as session:
        return await session.scalar(query.limit(1))


async def _make_speech(database: Database, storage: Storage, llm: LanguageModel, answer: Answer, text: str) -> None:
    """Make and store the audio of an answer with this spoken text, if it does not exist.

    Raises:
        LlmError: The site has no model for it, or the call failed.
        StorageError: The storage is not available.
    """
    async with _locks.setdefault(answer.id, asyncio.Lock()):
        if await _find_speech(database, answer):
            return
        speech = await llm.speech(text)
        async with deleting_files_on_error(storage) as new_names:
            name = await storage.save("speech", "mp3", speech.content, speech.content_type)
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
    text = unescape(TAG.sub("", CODE_BLOCK.sub("", await markdown.render_in_thread(answer.text)))).strip()
    model = llm.media.model("speech")
    if model is None or len(text) <= model.max_chars:
        return text
    ends = [match.end() for match in SENTENCE_END.finditer(text, 0, model.max_chars)]
    return text[: ends[-1] if ends else model.max_chars]
