"""Questions, answers and conversations of one owner.

The functions commit their own sessions, because an answer starts after the commit. `Conversations` uses the session of
its caller.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.assistants import read_setup, with_assistant_name
from app.chat.comparison import (
    IS_RUNNING,
    belongs_to,
    check_model,
    columns_of,
    max_question_length,
    require_one_question,
)
from app.chat.models import Conversation, Message, Role, TitledBy
from app.chat.prompt import build_prompt, find_first_read
from app.chat.schemas import ConversationFilter, ConversationPlace, ConversationSettings, MessageCreate
from app.chat.tree import (
    conversation_id_column,
    find_leaf,
    message_id_column,
    newest_leaf_below,
    parent_id_column,
    read_branch,
)
from opportune.accounts import User
from opportune.contrib.answers import (
    Answer,
    AnswerAttachment,
    AnswerManager,
    QuestionTooLong,
    SentFile,
    find_attachments,
    stored_attachments,
)
from opportune.contrib.llm import LanguageModel, estimate_tokens, require_sight
from opportune.db import contains, restore, utc_now, with_deleted
from opportune.errors import NotFound
from opportune.pagination import Page, order, paginate

MAX_TITLE_WORDS_LENGTH = 60
MAX_PROMPT_MESSAGES = 400
"""Messages read for a prompt. The newest ones that fit are sent."""
MAX_FILES = 50
"""Newest files of a branch that are read for a page or a prompt."""


async def ask(  # noqa: PLR0913 - keyword arguments of one question
    answers: AnswerManager,
    owner_id: int,
    conversation_id: int | None,
    question: MessageCreate,
    *,
    last_seen_id: int = 0,
    replaced_question: Message | None = None,
    files: Sequence[SentFile] = (),
    settings: ConversationSettings | None = None,
) -> tuple[Message, Message]:
    """Store a question, in a new conversation if no id is given, and start its answer.

    The question continues the current branch, or the branch of the message `last_seen_id`. With
    `replaced_question` it starts a branch beside that question and keeps its files. A repeated `client_key` returns
    the stored question and answer.

    The returned answer is the one of the first model if the conversation compares two.

    Raises:
        AnswerRunning, QuestionTooLong, TooManyAnswers, FieldErrors, StorageError: nothing was stored.
    """
    check_model(answers, settings)
    async with (
        stored_attachments(answers.storage, owner_id, files) as attachments,
        answers.database.writer() as session,
    ):
        conversations = Conversations(session, owner_id)
        await conversations.lock_owner()
        if question.client_key and (
            repeated := await conversations.find_repeated(question.client_key, conversation_id)
        ):
            return repeated
        if conversation_id is None:
            conversation = await _create_conversation(conversations, question, settings)
        else:
            conversation = await conversations.require(conversation_id)
        setup = await read_setup(session, answers.llm, conversation)
        for column in columns_of(answers.llm, conversation, default_model=setup.options["model"]):
            _check_question(column.model, question.content, attachments)
        parent_id = (
            replaced_question.parent_id if replaced_question else await find_leaf(session, conversation, last_seen_id)
        )
        stored = await conversations.add_question(
            conversation, question.content, question.client_key, parent_id, attachments
        )
        if replaced_question:
            stored.attachment_ids = replaced_question.attachment_ids + stored.attachment_ids
        return stored, await _start_answers(answers, conversations, conversation, stored)


async def _create_conversation(
    conversations: "Conversations", question: MessageCreate, settings: ConversationSettings | None
) -> Conversation:
    fields = {*ConversationSettings.model_fields, *ConversationPlace.model_fields}
    values = settings.model_dump(include=fields) if settings else {}
    values = await with_assistant_name(conversations.session, conversations.owner_id, values)
    return await conversations.create_conversation(question.content, values)


async def retry(answers: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question again in a new branch. The column of an answer keeps its model.

    Raises:
        AnswerRunning, TooManyAnswers: nothing was stored.
    """
    async with answers.database.writer() as session:
        question = await session.get_one(Message, answer.parent_id)
        conversation = await session.get_one(Conversation, question.conversation_id)
        conversations = Conversations(session, owner_id)
        return question, await _start_answers(answers, conversations, conversation, question, answer.answer)


async def _start_answers(
    answers: AnswerManager,
    conversations: "Conversations",
    conversation: Conversation,
    question: Message,
    repeated: Answer | None = None,
) -> Message:
    """Start the answers to a question, and return the last one."""
    options = (await read_setup(conversations.session, answers.llm, conversation)).options
    earlier = await read_branch(conversations.session, question.parent_id, limit=MAX_PROMPT_MESSAGES)
    files = await find_files(conversations.session, conversations.owner_id, [*earlier, question], with_text=True)
    message = question
    for model, topic, notice in columns_of(answers.llm, conversation, repeated, options["model"]):
        prompt, omitted = build_prompt(
            earlier, question, model.context_budget, system=options["system"], files=files, origin=model.origin
        )
        answer = await answers.ask(
            conversations.session,
            prompt,
            owner_id=conversations.owner_id,
            topic=topic,
            model=model.model.name if model.model else "",
            temperature=options["temperature"],
            omitted=" ".join(filter(None, (options["omitted"], notice, omitted))),
            tools=options["tools"],
        )
        message = await conversations.add_answer(answer, question)
        message.read_from_id = find_first_read(prompt, earlier, question)
    await require_one_question(conversations.session, question)
    return message


def _check_question(model: LanguageModel, content: str, files: Sequence[AnswerAttachment]) -> None:
    if model.provider and estimate_tokens(content) > model.context_budget:
        raise QuestionTooLong(max_question_length(model))
    require_sight([file.shown for file in files], model.name, sees_images=model.sees_images)


async def find_files(
    session: AsyncSession, owner_id: int, messages: Sequence[Message], *, with_text: bool = False
) -> dict[int, AnswerAttachment]:
    """Return the newest files of these messages by id."""
    ids = [id_ for message in messages for id_ in message.attachment_ids][-MAX_FILES:]
    return await find_attachments(session, owner_id, ids, with_text=with_text)


async def resume(answers: AnswerManager, message: Message) -> Message:
    """Continue an interrupted answer.

    Raises:
        AnswerRunning, TooManyAnswers: nothing was changed.
    """
    assert message.answer
    async with answers.database.writer() as session:
        message.answer = await answers.resume(session, message.answer)
        await require_one_question(session, await session.get_one(Message, message.parent_id))
    return message


async def stop(answers: AnswerManager, message: Message) -> None:
    """Stop an answer, in any process."""
    if message.answer:
        await answers.stop(message.answer)


async def configure(answers: AnswerManager, conversation: Conversation, settings: ConversationSettings) -> Conversation:
    """Change the title or the settings of later answers. Fields that were not sent stay the same.

    Raises:
        FieldErrors: the model or the assistant does not exist.
    """
    changes = settings.model_dump(exclude_unset=True)
    if title := changes.pop("title", None):
        changes |= {"title": title, "titled_by": TitledBy.PERSON}
    if "model" in changes:
        check_model(answers, settings)
    async with answers.database.writer() as session:
        if changes.get("assistant_id", conversation.assistant_id) != conversation.assistant_id:
            changes = await with_assistant_name(session, conversation.owner_id, changes)
        conversation.sqlmodel_update(changes)
        session.add(conversation)
        return conversation


async def delete(answers: AnswerManager, conversation: Conversation) -> None:
    """Stop the running answers and move the conversation to the trash."""
    async with answers.database.reader() as session:
        running = (await session.scalars(select(Answer).where(belongs_to(Answer, conversation), IS_RUNNING))).all()
    for answer in running:
        await answers.stop(answer)
    async with answers.database.writer() as session:
        await session.delete(conversation)


async def find_newest_answer(session: AsyncSession, conversation_id: int) -> Message | None:
    query = select(Message).where(conversation_id_column == conversation_id, col(Message.role) == Role.ASSISTANT)
    return (await session.scalars(query.order_by(message_id_column.desc()).limit(1))).one_or_none()


is_listed = col(Conversation.is_temporary).is_(False)


class Conversations:
    """The conversations of one owner. Rows of other owners are not found."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        self.owner_id = owner_id
        self._is_owner = col(Conversation.owner_id) == owner_id
        self._messages = (
            select(Message).join(Conversation, col(Conversation.id) == conversation_id_column).where(self._is_owner)
        )

    async def list_page(self, filters: ConversationFilter) -> Page[Conversation]:
        """List conversations, by default pinned ones, then the last used first."""
        title, created_at, used_at = col(Conversation.title), col(Conversation.created_at), col(Conversation.used_at)
        query = select(Conversation).where(self._is_owner, is_listed)
        if filters.folder:
            query = query.where(col(Conversation.folder) == filters.folder)
        if filters.q:
            query = query.where(contains(title, filters.q))
        columns = {"title": func.lower(title), "created_at": created_at, "used_at": used_at}
        default = col(Conversation.is_pinned).desc(), used_at.desc(), col(Conversation.id).desc()
        return await paginate(self.session, query.order_by(*order(filters.sort, columns, *default)), filters)

    async def find_page_number(self, conversation: Conversation, size: int) -> int:
        """Return the number of the page of the unfiltered list that contains this conversation."""
        used_at, id_ = col(Conversation.used_at), col(Conversation.id)
        newer = (used_at > conversation.used_at) | (used_at == conversation.used_at) & (id_ > conversation.id)
        is_pinned = col(Conversation.is_pinned)
        before = is_pinned & newer if conversation.is_pinned else is_pinned | newer
        query = select(func.count()).select_from(Conversation).where(self._is_owner, is_listed, before)
        return (await self.session.scalar(query) or 0) // size + 1

    async def list_folders(self) -> list[str]:
        folder = col(Conversation.folder)
        query = select(folder).where(self._is_owner, is_listed, folder != "").distinct().order_by(folder)
        return [*await self.session.scalars(query)]

    async def get(self, conversation_id: int) -> Conversation | None:
        query = select(Conversation).where(col(Conversation.id) == conversation_id, self._is_owner)
        return (await self.session.scalars(query)).one_or_none()

    async def require(self, conversation_id: int) -> Conversation:
        """Return a conversation. Raises NotFound, for example if it was deleted during the request."""
        conversation = await self.get(conversation_id)
        if conversation is None:
            raise NotFound
        return conversation

    async def restore(self, conversation_id: int) -> Conversation:
        """Take a conversation out of the trash and return it.

        Raises:
            NotFound: it is not there.
        """
        is_deleted = col(Conversation.id) == conversation_id, col(Conversation.deleted_at).is_not(None)
        query = with_deleted(select(Conversation).where(self._is_owner, *is_deleted).with_for_update())
        conversation = (await self.session.scalars(query)).one_or_none()
        if conversation is None:
            raise NotFound
        await restore(self.session, conversation)
        return conversation

    async def find_message(self, message_id: int) -> Message | None:
        return (await self.session.scalars(self._messages.where(message_id_column == message_id))).one_or_none()

    async def list_all_messages(self, conversation_id: int) -> list[Message]:
        """Return the messages of all branches, oldest first."""
        return [
            *await self.session.scalars(
                self._messages.where(conversation_id_column == conversation_id).order_by(message_id_column)
            )
        ]

    async def lock_owner(self) -> None:
        """Lock the owner's row, so that one question is stored at a time. On SQLite there is only one writer."""
        await self.session.execute(select(col(User.id)).where(col(User.id) == self.owner_id).with_for_update())

    async def find_repeated(self, client_key: str, conversation_id: int | None) -> tuple[Message, Message] | None:
        """Return the question with this key and its newest answer. Without an id, search all conversations."""
        query = self._messages.where(col(Message.client_key) == client_key)
        if conversation_id is not None:
            query = query.where(conversation_id_column == conversation_id)
        question = (await self.session.scalars(query.limit(1))).one_or_none()
        if not question:
            return None
        answers = select(Message).where(parent_id_column == question.id).order_by(message_id_column.desc())
        return question, (await self.session.scalars(answers.limit(1))).one()

    async def create_conversation(
        self, question: str, settings: Mapping[str, Any] = MappingProxyType({})
    ) -> Conversation:
        """Add a conversation titled with the first words of its question."""
        conversation = Conversation(owner_id=self.owner_id, title=title_from_question(question), **settings)
        self.session.add(conversation)
        await self.session.flush()
        return conversation

    async def add_question(
        self,
        conversation: Conversation,
        content: str,
        client_key: str | None = None,
        parent_id: int | None = None,
        files: Sequence[AnswerAttachment] = (),
    ) -> Message:
        """Store a question with its files below a message."""
        for file in files:
            file.topic = conversation.topic
        self.session.add_all(files)
        await self.session.flush()
        question = Message(
            conversation_id=conversation.id,
            parent_id=parent_id,
            role=Role.USER,
            question=content,
            attachment_ids=[file.id for file in files],
            client_key=client_key,
        )
        self.session.add(question)
        await self.session.flush()
        return question

    async def add_answer(self, answer: Answer, question: Message) -> Message:
        """Add an answer below its question and make its branch the current one."""
        message = Message(
            conversation_id=question.conversation_id, parent_id=question.id, role=Role.ASSISTANT, answer=answer
        )
        self.session.add(message)
        await self.session.flush()
        await self._update(question.conversation_id, leaf_id=message.id, used_at=utc_now())
        return message

    async def select_branch(self, message: Message) -> None:
        """Select the newest branch that contains a message."""
        leaf = await self.session.scalar(newest_leaf_below(message.conversation_id, message.id))
        await self._update(message.conversation_id, leaf_id=leaf)

    async def _update(self, conversation_id: int, **values: Any) -> None:
        await self.session.execute(update(Conversation).where(col(Conversation.id) == conversation_id).values(**values))


def title_from_question(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= MAX_TITLE_WORDS_LENGTH else words[: MAX_TITLE_WORDS_LENGTH - 1].rstrip() + "…"
