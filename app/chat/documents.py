"""Documents beside a conversation, with versions. The user and the model write new versions of the current one."""

import re
from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.assistants import read_setup
from app.chat.comparison import find_model, max_question_length
from app.chat.conversations import title_from_question
from app.chat.models import Conversation, Document, DocumentVersion, Message
from app.chat.schemas import DocumentForm
from opportune.contrib import llm
from opportune.contrib.answers import Answer, AnswerManager, AnswerStatus, QuestionTooLong
from opportune.errors import require_found

MAX_VERSIONS = 100
"""Versions of a document that are kept."""
EDIT_PROMPT = (
    "You edit a document. Apply the instruction of the user. "
    "Answer with the whole new document in Markdown, and with nothing else."
)
FENCE = re.compile(r"`{3,}|~{3,}")


class DocumentChanged(Exception):
    """Another version was saved after the one from which the text was written."""


def code_blocks(text: str) -> list[str]:
    """Return the fenced code blocks of a Markdown text, with their fences."""
    lines = text.split("\n")
    last_numbers = {line.rstrip(" "): number for number, line in enumerate(lines)}
    blocks = []
    start = 0
    fence = ""
    for number, line in enumerate(lines):
        if fence and line.rstrip(" ") == fence:
            blocks.append("\n".join(lines[start : number + 1]))
            fence = ""
        elif not fence and (match := FENCE.match(line)) and last_numbers.get(match[0], 0) > number:
            start = number
            fence = match[0]
    return blocks


def document_topic(document: Document) -> str:
    """Return the topic of the model's versions. Only one is written at a time."""
    return f"chat:{document.conversation_id}:document:{document.id}"


class Documents:
    """The documents of one owner. Documents of other owners are not found."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        is_current = (col(DocumentVersion.document_id) == col(Document.id)) & (
            col(DocumentVersion.number) == col(Document.version)
        )
        query = select(Document).join(Conversation).join(DocumentVersion, is_current)
        self._query = query.where(col(Conversation.owner_id) == owner_id)

    async def get(self, document_id: int, *, for_update: bool = False) -> Document | None:
        query = self._query.where(col(Document.id) == document_id)
        return await self.session.scalar(query.with_for_update(of=Document) if for_update else query)

    async def list(self, conversation_id: int) -> Sequence[Document]:
        query = self._query.where(col(Document.conversation_id) == conversation_id).order_by(col(Document.id))
        return (await self.session.scalars(query)).all()

    async def versions(self, document: Document) -> Sequence[DocumentVersion]:
        """Return the versions, newest first. The text of one that the model writes is still empty."""
        query = select(DocumentVersion).where(col(DocumentVersion.document_id) == document.id)
        return (await self.session.scalars(query.order_by(col(DocumentVersion.number).desc()))).all()

    async def texts(self, document: Document) -> dict[int, str]:
        """Return the texts of the versions by number."""
        return {version.number: version.text for version in await self.versions(document)}

    async def create(self, message: Message, text: str) -> Document:
        lines = (line for line in text.splitlines() if line.strip("#*`~ "))
        title = title_from_question(next(lines, text))
        document = Document(conversation_id=message.conversation_id, title=title)
        self.session.add(document)
        await self.session.flush()
        model = message.answer.model if message.answer else ""
        self.session.add(DocumentVersion(document_id=document.id, number=1, text=text, model=model))
        return document

    async def save(self, document: Document, text: str, base: int) -> None:
        """Store a text as the current version, unless it equals the version `base`. The row must be locked.

        Raises:
            DocumentChanged: `base` is no longer the current version.
        """
        text = text.replace("\r\n", "\n").strip()
        texts = await self.texts(document)
        if text == texts.get(base, "").strip():
            return
        if base != document.version:
            raise DocumentChanged
        document.version = (await self.add_version(document, text=text)).number

    async def add_version(self, document: Document, **values: Any) -> DocumentVersion:
        """Add a version that is written from the current one."""
        newest = select(func.max(DocumentVersion.number)).where(col(DocumentVersion.document_id) == document.id)
        number = (await self.session.scalar(newest) or 0) + 1
        version = DocumentVersion(document_id=document.id, number=number, base=document.version, **values)
        self.session.add(version)
        is_old = col(DocumentVersion.number) <= version.number - MAX_VERSIONS
        is_current = col(DocumentVersion.number) == document.version
        await self.session.execute(
            delete(DocumentVersion).where(col(DocumentVersion.document_id) == document.id, is_old, ~is_current)
        )
        await self.session.flush()
        return version


async def write_document(answers: AnswerManager, owner_id: int, document_id: int, form: DocumentForm) -> None:
    """Save the text of a document, and ask the model for the next version if the form has an instruction.

    Raises:
        DocumentChanged, AnswerRunning, NotFound, QuestionTooLong, TooManyAnswers: Nothing was stored.
    """
    async with answers.database.writer() as session:
        documents = Documents(session, owner_id)
        document = require_found(await documents.get(document_id, for_update=True))  # deleted during the request
        await documents.save(document, form.text, form.version)
        if not (form.is_question and form.instruction):
            return
        texts = await documents.texts(document)
        conversation = await session.get_one(Conversation, document.conversation_id)
        setup = await read_setup(session, answers.llm, conversation)
        model, _ = find_model(answers.llm, conversation.model or setup.options["model"])
        prompt = f"{form.instruction}\n\n{llm.as_data(document.title, texts[document.version])}"
        if model.provider and llm.estimate_tokens(prompt) > model.context_budget:
            raise QuestionTooLong(max_question_length(model))
        answer = await answers.ask(
            session,
            prompt,
            system=EDIT_PROMPT,
            owner_id=owner_id,
            topic=document_topic(document),
            question=form.instruction,
            model=model.model.name if model.model else "",
        )
        await documents.add_version(document, answer_id=answer.id, model=answer.model)


async def store_version(session: AsyncSession, answer: Answer) -> None:
    """Store the text of the model. It becomes the current version if it is complete and its base is still current."""
    query = select(DocumentVersion).where(col(DocumentVersion.answer_id) == answer.id)
    version = await session.scalar(query)
    if version is None:
        return
    base = await session.scalar(
        select(col(DocumentVersion.text)).where(
            col(DocumentVersion.document_id) == version.document_id, col(DocumentVersion.number) == version.base
        )
    )
    version.text = _without_fence(answer.text, base or "")
    version.model = answer.model
    if version.text and answer.status == AnswerStatus.DONE:
        is_current = col(Document.version) == version.base
        await session.execute(
            update(Document).where(col(Document.id) == version.document_id, is_current).values(version=version.number)
        )


def _without_fence(text: str, base: str) -> str:
    """Remove the fence that models often put around a whole document."""
    text = text.strip()
    blocks = code_blocks(text)
    if blocks == [text] and code_blocks(base)[:1] != [base.strip()]:
        return "\n".join(text.splitlines()[1:-1]).strip()
    return text
