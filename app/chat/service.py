"""The conversations of a person. Knows no HTTP and never commits."""

from sqlalchemy import ColumnElement, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Role
from app.chat.schemas import ConversationFilter
from opportune.accounts import User
from opportune.llm import Answer
from opportune.pagination import Page, order, paginate

MAX_TITLE_LENGTH = 60

MAX_QUESTIONS_PER_PAGE = 25
"""Questions of a conversation that are shown at a time, each with its answer."""


class QuestionTooLongError(Exception):
    """The question has more characters than the model reads at a time."""

    def __init__(self, longest: int) -> None:
        super().__init__(f"This model reads at most {longest} characters. Please write less.")


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

    async def ask(self, conversation_id: int, content: str, client_key: str | None = None) -> Message:
        """Store a question."""
        question = Message(conversation_id=conversation_id, role=Role.USER, question=content, client_key=client_key)
        self.session.add(question)
        await self.session.flush()
        return question

    async def place(self, answer: Answer, question: Message) -> Message:
        """Put an answer below its question; one that was there is kept and no longer shown."""
        message = Message(
            conversation_id=question.conversation_id, parent_id=question.id, role=Role.ASSISTANT, answer=answer
        )
        self.session.add(message)
        await self.session.flush()
        return message

    async def question(self, answer: Message) -> Message:
        return await self.session.get_one(Message, answer.parent_id)


def title_of(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= MAX_TITLE_LENGTH else words[: MAX_TITLE_LENGTH - 1].rstrip() + "…"
