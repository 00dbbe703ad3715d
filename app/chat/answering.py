"""Asks and reads, where the database and the running answers meet. Routes of pages and API call these.

These functions commit for themselves instead of taking the request's session: what they give is there for all to see.
"""

from fastapi import HTTPException

from app.chat.models import Message, topic_of
from app.chat.prompt import build_prompt
from app.chat.schemas import MAX_QUESTION_LENGTH, MessageCreate
from app.chat.service import Chat, ConversationView, QuestionTooLongError
from opportune.llm import AnswerManager, estimate_tokens

MAX_PROMPT_MESSAGES = 400
"""Messages that are looked at for a prompt; as many of them as fit are sent."""


def max_question_length(answers: AnswerManager) -> int:
    """The most characters of plain English that the model reads at a time."""
    return min(MAX_QUESTION_LENGTH, 4 * answers.llm.context_budget) if answers.llm.provider else MAX_QUESTION_LENGTH


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


async def ask(
    answers: AnswerManager,
    owner_id: int,
    conversation_id: int | None,
    question: MessageCreate,
    *,
    seen: int = 0,
    instead_of: Message | None = None,
) -> tuple[Message, Message]:
    """Store a question, in a new conversation where none is named, and start its answer.

    It goes to the end of the shown branch, or of the one with the message `seen`; or in the place of another question,
    which is kept as a branch. The same `client_key` again gives what was stored the first time.

    Raises:
        AnswerRunning, QuestionTooLongError, TooManyAnswers: nothing was stored.
    """
    key = question.client_key
    if answers.llm.provider and estimate_tokens(question.content) > answers.llm.context_budget:
        raise QuestionTooLongError(max_question_length(answers))
    async with answers.database.writer() as session:
        chat = Chat(session, owner_id)
        await chat.lock()
        if key and (before := await chat.asked_before(key, conversation_id)):
            return before
        into = await chat.conversation(conversation_id) if conversation_id else await chat.begin(question.content)
        if into is None:  # deleted meanwhile
            raise HTTPException(404)
        after = instead_of.parent_id if instead_of else await chat.leaf(into, seen)
        asked = await chat.ask(into.id, question.content, key, after)
        return asked, await _answer(answers, chat, asked)


async def retry(answers: AnswerManager, owner_id: int, answer: Message) -> tuple[Message, Message]:
    """Answer the same question once more; the answer that there is is kept as another branch.

    Raises:
        AnswerRunning, TooManyAnswers: nothing was stored.
    """
    async with answers.database.writer() as session:
        chat = Chat(session, owner_id)
        question = await chat.question(answer)
        return question, await _answer(answers, chat, question)


async def resume(answers: AnswerManager, message: Message) -> Message:
    """Have an answer that broke off go on.

    Raises:
        AnswerRunning, TooManyAnswers: nothing goes on.
    """
    assert message.answer  # noqa: S101 - it is none of a question
    async with answers.database.writer() as session:
        message.answer = await answers.resume(session, message.answer)
    return message


async def stop(answers: AnswerManager, message: Message) -> None:
    """Stop an answer, whichever process writes it."""
    if message.answer:
        await answers.stop(message.answer)


async def _answer(answers: AnswerManager, chat: Chat, question: Message) -> Message:
    earlier = await chat.branch(question.parent_id, steps=MAX_PROMPT_MESSAGES)
    answer = await answers.ask(
        chat.session,
        build_prompt(earlier, question, answers.llm.context_budget),
        owner_id=chat.owner_id,
        topic=topic_of(question.conversation_id),
        tools=True,
    )
    return await chat.place(answer, question)
