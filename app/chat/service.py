"""Ask questions, and repeat, continue and stop their answers.

The functions commit their own sessions, because an answer starts after the commit.
"""

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.assistants import read_setup, with_assistant_name
from app.chat.comparison import (
    IS_RUNNING,
    answers_to_start,
    belongs_to,
    check_models,
    max_question_length,
    require_one_question,
)
from app.chat.conversations import Conversations, find_files, find_leaf, read_branch
from app.chat.models import Conversation, Message, TitledBy
from app.chat.prompt import build_prompt, find_first_read
from app.chat.schemas import ConversationPlace, ConversationSettings, MessageCreate
from opportune.contrib.answers import (
    Answer,
    AnswerAttachment,
    AnswerManager,
    QuestionTooLong,
    SentFile,
    stored_attachments,
)
from opportune.contrib.llm import LanguageModel, estimate_tokens, require_sight
from opportune.db import utc_now
from opportune.errors import require_found

MAX_PROMPT_MESSAGES = 400
"""Messages read for a prompt. The newest ones that fit are sent."""


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
        AnswerRunning, QuestionTooLong, TooManyAnswers, FieldErrors, StorageError: Nothing was stored.
    """
    if settings:
        check_models(answers.llm, settings)
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
        for start in answers_to_start(answers.llm, conversation, default_model=setup.options["model"]):
            _check_question(start.model, question.content, attachments)
        if replaced_question:
            parent_id = replaced_question.parent_id
            kept_files = replaced_question.attachment_ids
        else:
            parent_id = await find_leaf(session, conversation, last_seen_id)
            kept_files = []
        stored = await conversations.add_question(
            conversation, question.content, question.client_key, parent_id, attachments
        )
        stored.attachment_ids = kept_files + stored.attachment_ids
        return stored, await _start_answers(answers, conversations, conversation, stored)


async def _create_conversation(
    conversations: Conversations, question: MessageCreate, settings: ConversationSettings | None
) -> Conversation:
    fields = {*ConversationSettings.model_fields, *ConversationPlace.model_fields}
    values = settings.model_dump(include=fields) if settings else {}
    values = await with_assistant_name(conversations.session, conversations.owner_id, values)
    return await conversations.create_conversation(question.content, values)


async def retry(answers: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question again in a new branch. The column of an answer keeps its model.

    Raises:
        AnswerRunning, TooManyAnswers: Nothing was stored.
    """
    async with answers.database.writer() as session:
        question = await _load_question(session, answer)
        conversation = await session.get_one(Conversation, question.conversation_id)
        conversations = Conversations(session, owner_id)
        return question, await _start_answers(answers, conversations, conversation, question, answer.answer)


async def _start_answers(
    answers: AnswerManager,
    conversations: Conversations,
    conversation: Conversation,
    question: Message,
    repeated: Answer | None = None,
) -> Message:
    """Start the answers to a question, and return the last one."""
    options = (await read_setup(conversations.session, answers.llm, conversation)).options
    earlier = await read_branch(conversations.session, question.parent_id, limit=MAX_PROMPT_MESSAGES)
    files = await find_files(conversations.session, conversations.owner_id, [*earlier, question], with_text=True)
    message = question
    for model, topic, notice in answers_to_start(answers.llm, conversation, repeated, options["model"]):
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


async def resume(answers: AnswerManager, message: Message) -> Message:
    """Continue an interrupted answer.

    Raises:
        AnswerRunning, TooManyAnswers: Nothing was changed.
    """
    assert message.answer
    async with answers.database.writer() as session:
        message.answer = await answers.resume(session, message.answer)
        await require_one_question(session, await _load_question(session, message))
    return message


async def _load_question(session: AsyncSession, answer: Message) -> Message:
    """Return the question of an answer. Raises NotFound if staff have deleted it."""
    return require_found(await session.scalar(select(Message).where(col(Message.id) == answer.parent_id)))


async def stop(answers: AnswerManager, message: Message) -> None:
    """Stop an answer, in any process."""
    if message.answer:
        await answers.stop(message.answer)


async def configure(answers: AnswerManager, conversation: Conversation, settings: ConversationSettings) -> Conversation:
    """Change the title or the settings of later answers. Fields that were not sent stay the same.

    Raises:
        FieldErrors: The model or the assistant does not exist.
    """
    changes = settings.model_dump(exclude_unset=True)
    if title := changes.pop("title", None):
        changes |= {"title": title, "titled_by": TitledBy.PERSON}
    if changes.get("is_temporary") and not conversation.is_temporary:
        changes["used_at"] = utc_now()  # it is deleted a day later
    if changes.keys() & {"model", "compare_with"}:
        check_models(answers.llm, settings)
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
