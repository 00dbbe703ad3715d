"""The conversations of a person. Knows no HTTP and never commits."""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Role, Status
from app.chat.schemas import ConversationFilter
from opportune.accounts import User
from opportune.db import utc_now
from opportune.pagination import Page, order, paginate

LEASE_DURATION = timedelta(seconds=15)
MAX_RUNNING_ANSWERS = 3
"""Answers that one person may have written at the same time."""

MAX_TITLE_LENGTH = 60

MAX_QUESTIONS_PER_PAGE = 25
"""Questions of a conversation that are shown at a time, each with its answer."""


class AnswerRunningError(Exception):
    """The conversation's last question is still being answered."""


class QuestionTooLongError(Exception):
    """The question has more characters than the model reads at a time."""

    def __init__(self, longest: int) -> None:
        super().__init__(f"This model reads at most {longest} characters. Please write less.")


class TooManyAnswersError(Exception):
    """This person already has as many answers running as one may have."""


@dataclass(frozen=True)
class AnswerAuthor:
    """The author of an answer: the process, and the model as people are shown it."""

    worker: str
    model: str


class Chat:
    """The conversations of one owner; another's do not exist here."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        self.owner_id = owner_id

    async def conversations(self, wanted: ConversationFilter) -> Page[Conversation]:
        """List conversations, the newest first if nothing else is wanted."""
        title, created_at = col(Conversation.title), col(Conversation.created_at)
        query = select(Conversation).where(col(Conversation.owner_id) == self.owner_id)
        if wanted.q:
            query = query.where(title.icontains(wanted.q, autoescape=True))
        columns = {"title": func.lower(title), "created_at": created_at}
        return await paginate(
            self.session, query.order_by(*order(wanted.sort, columns, col(Conversation.id).desc())), wanted
        )

    async def page_of(self, conversation: Conversation, size: int) -> int:
        """The page of the list of all that shows this conversation."""
        newer = (col(Conversation.owner_id) == self.owner_id) & (col(Conversation.id) > conversation.id)
        count = await self.session.scalar(select(func.count()).select_from(Conversation).where(newer))
        return (count or 0) // size + 1

    async def conversation(self, id: int) -> Conversation | None:  # noqa: A002 - what it is everywhere
        query = select(Conversation).where(col(Conversation.id) == id, col(Conversation.owner_id) == self.owner_id)
        return (await self.session.scalars(query)).one_or_none()

    async def messages(self, conversation_id: int, after: int = 0) -> list[Message]:
        """Questions asked after a message, in order, each with its newest answer."""
        question_id = func.coalesce(col(Message.parent_id), col(Message.id))
        return await self._shown((col(Message.conversation_id) == conversation_id) & (question_id > after))

    async def newest_messages(
        self, conversation_id: int, before: int | None = None
    ) -> tuple[list[Message], int | None]:
        """The newest messages, or those before a question; and the question before which there are earlier ones."""
        conversation = col(Message.conversation_id) == conversation_id
        query = select(col(Message.id)).where(conversation, col(Message.parent_id).is_(None))
        if before is not None:
            query = query.where(col(Message.id) < before)
        newest = query.order_by(col(Message.id).desc()).limit(MAX_QUESTIONS_PER_PAGE + 1)
        found = (await self.session.scalars(newest)).all()
        questions = found[:MAX_QUESTIONS_PER_PAGE]
        shown = or_(col(Message.id).in_(questions), col(Message.parent_id).in_(questions))
        return await self._shown(conversation & shown), questions[-1] if len(found) > len(questions) else None

    async def _shown(self, condition: ColumnElement[bool]) -> list[Message]:
        messages = (await self.session.scalars(select(Message).where(condition).order_by(col(Message.id)))).all()
        newest = {message.parent_id: message.id for message in messages if message.role == Role.ASSISTANT}
        shown = [message for message in messages if newest.get(message.parent_id, message.id) == message.id]
        # An answer stands below its question, also when a later question was asked before the retry.
        return sorted(shown, key=lambda message: (message.parent_id or message.id, message.id))

    async def answer(self, id: int) -> Message | None:  # noqa: A002 - what it is everywhere
        """An answer of this owner."""
        query = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id))
        query = query.where(col(Message.id) == id, col(Message.role) == Role.ASSISTANT)
        return (await self.session.scalars(query.where(col(Conversation.owner_id) == self.owner_id))).one_or_none()

    async def newest_answer(self, conversation_id: int) -> Message | None:
        query = select(Message).where(
            col(Message.conversation_id) == conversation_id, col(Message.role) == Role.ASSISTANT
        )
        return (await self.session.scalars(query.order_by(col(Message.id).desc()).limit(1))).one_or_none()

    async def begin(self, question: str) -> Conversation:
        """A new conversation with a title of the question's first words."""
        conversation = Conversation(owner_id=self.owner_id, title=title_of(question))
        self.session.add(conversation)
        await self.session.flush()
        return conversation

    async def delete(self, conversation: Conversation) -> None:
        await self.session.delete(conversation)
        await self.session.flush()

    async def lock(self) -> None:
        """Let nobody else ask for this owner until the transaction ends, so that look-ups below stay true.

        On SQLite whoever writes is alone already.
        """
        await self.session.execute(select(col(User.id)).where(col(User.id) == self.owner_id).with_for_update())

    async def asked_before(self, client_key: str, conversation_id: int | None) -> tuple[Message, Message] | None:
        """The question that came with this key, and its newest answer; in any conversation where none is named."""
        query = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id))
        query = query.where(col(Conversation.owner_id) == self.owner_id, col(Message.client_key) == client_key)
        if conversation_id is not None:
            query = query.where(col(Message.conversation_id) == conversation_id)
        question = (await self.session.scalars(query.limit(1))).one_or_none()
        if not question:
            return None
        answers = select(Message).where(col(Message.parent_id) == question.id).order_by(col(Message.id).desc())
        return question, (await self.session.scalars(answers.limit(1))).one()

    async def ask(
        self, conversation_id: int, content: str, author: AnswerAuthor, client_key: str | None = None
    ) -> tuple[Message, Message]:
        """Store a question and the empty answer that `author` will write.

        Raises:
            AnswerRunningError, TooManyAnswersError: nothing was stored.
        """
        await self._check_may_run(conversation_id)
        question = Message(conversation_id=conversation_id, role=Role.USER, text=content, client_key=client_key)
        self.session.add(question)
        await self.session.flush()
        return question, await self._new_answer(question, author)

    async def retry(self, answer: Message, author: AnswerAuthor) -> tuple[Message, Message]:
        """The same question and a new answer to it; the old one is kept and no longer shown.

        Raises:
            AnswerRunningError, TooManyAnswersError: nothing was stored.
        """
        await self._check_may_run(answer.conversation_id)
        question = await self.session.get_one(Message, answer.parent_id)
        return question, await self._new_answer(question, author)

    async def request_stop(self, answer: Message) -> None:
        """Tell whichever process writes this answer to stop."""
        running = (col(Message.id) == answer.id) & (col(Message.status) == Status.STREAMING)
        await self.session.execute(update(Message).where(running).values(stop_requested=True))

    async def _new_answer(self, question: Message, author: AnswerAuthor) -> Message:
        answer = Message(
            conversation_id=question.conversation_id,
            parent_id=question.id,
            role=Role.ASSISTANT,
            status=Status.STREAMING,
            worker=author.worker,
            model=author.model,
            lease_until=utc_now() + LEASE_DURATION,
        )
        self.session.add(answer)
        await self.session.flush()
        return answer

    async def _check_may_run(self, conversation_id: int) -> None:
        owned = select(col(Conversation.id)).where(col(Conversation.owner_id) == self.owner_id)
        query = select(col(Message.conversation_id)).where(col(Message.status) == Status.STREAMING)
        # Answers of dead processes do not count; where one is in the way, the index refuses.
        query = query.where(col(Message.conversation_id).in_(owned), col(Message.lease_until) >= utc_now())
        running = (await self.session.scalars(query)).all()
        if conversation_id in running:
            raise AnswerRunningError
        if len(running) >= MAX_RUNNING_ANSWERS:
            raise TooManyAnswersError


def title_of(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= MAX_TITLE_LENGTH else words[: MAX_TITLE_LENGTH - 1].rstrip() + "…"
