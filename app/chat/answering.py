"""Asks and reads, where the database and the running answers meet. Routes of pages and API call these.

These functions commit for themselves instead of taking the request's session: what they give is there for all to see.
"""

from collections.abc import Sequence

from fastapi import HTTPException

from app.chat.models import Conversation, Message, TitledBy
from app.chat.prompt import build_prompt
from app.chat.schemas import MAX_QUESTION_LENGTH, ConversationSettings, MessageCreate
from app.chat.service import Chat, ConversationView, QuestionTooLongError
from opportune.errors import FieldErrors
from opportune.llm import (
    AnswerAttachment,
    AnswerManager,
    LanguageModel,
    LLMError,
    SentFile,
    estimate_tokens,
    require_sight,
    stored_attachments,
)

MAX_PROMPT_MESSAGES = 400
"""Messages that are looked at for a prompt; as many of them as fit are sent."""


def max_question_length(model: LanguageModel) -> int:
    """The most characters of plain English that the model reads at a time."""
    return min(MAX_QUESTION_LENGTH, 4 * model.context_budget) if model.provider else MAX_QUESTION_LENGTH


async def view_conversation(
    answers: AnswerManager, owner_id: int, conversation_id: int, before: int | None = None, at: int | None = None
) -> ConversationView | None:
    """Read a part of a conversation of this owner, with a running answer so far: see `Chat.view`."""
    async with answers.database.reader() as session:
        chat = Chat(session, owner_id)
        conversation = await chat.conversation(conversation_id)
        view = await chat.view(conversation, before, at) if conversation else None
    return await _refreshed(answers, view)


async def view_news(answers: AnswerManager, owner_id: int, conversation_id: int, last: int) -> ConversationView | None:
    """Read what has come into a conversation since the last message that somebody sees of a branch."""
    async with answers.database.reader() as session:
        chat = Chat(session, owner_id)
        conversation = await chat.conversation(conversation_id)
        view = await chat.news(conversation, last) if conversation else None
    return await _refreshed(answers, view)


async def _refreshed(answers: AnswerManager, view: ConversationView | None) -> ConversationView | None:
    await answers.refresh(message.answer for message in (view.messages if view else ()) if message.answer)
    return view


async def ask(  # noqa: PLR0913 - each is a word of its own
    answers: AnswerManager,
    owner_id: int,
    conversation_id: int | None,
    question: MessageCreate,
    *,
    seen: int = 0,
    instead_of: Message | None = None,
    files: Sequence[SentFile] = (),
    settings: ConversationSettings | None = None,
) -> tuple[Message, Message]:
    """Store a question, in a new conversation with these settings where none is named, and start its answer.

    It goes to the end of the shown branch, or of the one with the message `seen`; or in the place of another question,
    which is kept as a branch, with its files. The same `client_key` again gives what was stored the first time.

    Raises:
        AnswerRunning, QuestionTooLongError, TooManyAnswers: nothing was stored.
        FieldErrors, StorageError: nor was it where a file or a setting is refused, or no file can be kept now.
    """
    key = question.client_key
    check_model(answers, settings)
    async with (
        stored_attachments(answers.storage, owner_id, files) as attachments,
        answers.database.writer() as session,
    ):
        chat = Chat(session, owner_id)
        await chat.lock()
        if key and (before := await chat.asked_before(key, conversation_id)):
            return before
        chosen = settings.model_dump(include={*ConversationSettings.model_fields}) if settings else {}
        into = await (chat.conversation(conversation_id) if conversation_id else chat.begin(question.content, chosen))
        if into is None:  # deleted meanwhile
            raise HTTPException(404)
        _check_question(model_of(answers.llm, into)[0], question.content, attachments)
        after = instead_of.parent_id if instead_of else await chat.leaf(into, seen)
        asked = await chat.ask(into, question.content, key, after, attachments)
        if instead_of:
            asked.attachment_ids = instead_of.attachment_ids + asked.attachment_ids
        return asked, await _answer(answers, chat, into, asked)


async def retry(answers: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question once more; the answer that there is is kept as another branch.

    Raises:
        AnswerRunning, TooManyAnswers: nothing was stored.
    """
    async with answers.database.writer() as session:
        chat = Chat(session, owner_id)
        question = await chat.question(answer)
        conversation = await session.get_one(Conversation, question.conversation_id)
        return question, await _answer(answers, chat, conversation, question)


async def resume(answers: AnswerManager, message: Message) -> Message:
    """Have an answer that broke off go on.

    Raises:
        AnswerRunning, TooManyAnswers: nothing goes on.
    """
    assert message.answer
    async with answers.database.writer() as session:
        message.answer = await answers.resume(session, message.answer)
    return message


async def configure(
    answers: AnswerManager, owner_id: int, conversation: Conversation, settings: ConversationSettings
) -> Conversation:
    """Change who answers, and how, from the next answer on: as far as that was sent.

    Raises:
        FieldErrors: there is no such model.
    """
    changes = settings.model_dump(exclude_unset=True)
    if title := changes.pop("title", None):
        changes |= {"title": title, "titled_by": TitledBy.PERSON}
    if "model" in changes:
        check_model(answers, settings)
    async with answers.database.writer() as session:
        return await Chat(session, owner_id).change(conversation, changes)


async def stop(answers: AnswerManager, message: Message) -> None:
    """Stop an answer, whichever process writes it."""
    if message.answer:
        await answers.stop(message.answer)


async def delete(answers: AnswerManager, owner_id: int, conversation: Conversation) -> None:
    """Delete a conversation, whose answer stops where one is being written."""
    async with answers.database.reader() as session:
        newest = await Chat(session, owner_id).newest_answer(conversation.id)
    if newest:  # no other can be running
        await stop(answers, newest)
    async with answers.database.writer() as session:
        await Chat(session, owner_id).delete(conversation)


def model_of(llm: LanguageModel, conversation: Conversation | None) -> tuple[LanguageModel, str]:
    """Who answers in a conversation, and a sentence for its person where that is not whom they chose."""
    chosen = conversation.model if conversation else ""
    try:
        return llm.using(chosen), ""
    except LLMError:
        return llm, f"{chosen} is no longer there: {llm.name or 'nobody'} answers."


def check_model(answers: AnswerManager, settings: ConversationSettings | None) -> None:
    """Raise FieldErrors if somebody is chosen who is not there."""
    try:
        answers.llm.using(settings.model if settings else "")
    except LLMError as error:
        raise FieldErrors({"model": str(error)}) from None


def _check_question(model: LanguageModel, content: str, files: Sequence[AnswerAttachment]) -> None:
    if model.provider and estimate_tokens(content) > model.context_budget:
        raise QuestionTooLongError(max_question_length(model))
    require_sight([file.shown for file in files], model.name, sees_images=model.sees_images)


async def _answer(answers: AnswerManager, chat: Chat, conversation: Conversation, question: Message) -> Message:
    model, stands_in = model_of(answers.llm, conversation)
    earlier = await chat.branch(question.parent_id, steps=MAX_PROMPT_MESSAGES)
    files = await chat.files([*earlier, question], with_text=True)
    prompt, omitted = build_prompt(
        earlier, question, model.context_budget, system=conversation.system_prompt, files=files
    )
    answer = await answers.ask(
        chat.session,
        prompt,
        owner_id=chat.owner_id,
        topic=conversation.topic,
        model="" if stands_in else conversation.model,
        temperature=conversation.temperature,
        omitted=f"{stands_in} {omitted}".strip(),
        tools=True,
    )
    return await chat.place(answer, question)
