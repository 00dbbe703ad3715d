"""The conversations of a person. Knows no HTTP and never commits."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from sqlalchemy import false, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Role
from app.chat.schemas import ConversationFilter
from app.chat.tree import branches_at, conversation_key, key, newest_below, parent_key, way_to
from opportune.accounts import User
from opportune.db import utc_now
from opportune.llm import Answer, AnswerAttachment, find_attachments
from opportune.pagination import Page, order, paginate

MAX_FIRST_WORDS_LENGTH = 60

MAX_QUESTIONS_PER_PAGE = 25
"""Questions of a conversation that are shown at a time, each with its answer."""
MAX_FILES = 50
"""Files of a conversation that are looked at for a page or a prompt."""
MAX_ANSWERS_AROUND = 5
"""Answers that are shown from a message on to which a link leads."""


class QuestionTooLongError(Exception):
    """The question has more characters than the model reads at a time."""

    def __init__(self, longest: int) -> None:
        super().__init__(f"This model reads at most {longest} characters. Please write less.")


@dataclass(frozen=True)
class ConversationView:
    """A part of a conversation as it is shown."""

    conversation: Conversation
    messages: list[Message]
    branches: Mapping[int, Sequence[int]]
    """By the id of a message: what there is in its place, itself among it, in order."""
    is_end: bool = True
    """Whether nothing of the shown branch follows."""
    files: Mapping[int, AnswerAttachment] = field(default_factory=dict)
    """What was attached to questions, by id."""

    def files_of(self, message: Message) -> list[AnswerAttachment]:
        return [self.files[each] for each in message.attachment_ids if each in self.files]

    @property
    def earlier(self) -> int | None:
        """The message before which there are more; None if these are the first."""
        return self.messages[0].id if self.messages and self.messages[0].parent_id else None


class Chat:
    """The conversations of one owner; another's do not exist here."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        self.owner_id = owner_id
        self._own = col(Conversation.owner_id) == owner_id

    async def conversations(self, wanted: ConversationFilter) -> Page[Conversation]:
        """List conversations, the last used first if nothing else is wanted."""
        title, created_at, used_at = col(Conversation.title), col(Conversation.created_at), col(Conversation.used_at)
        query = select(Conversation).where(self._own)
        if wanted.q:
            query = query.where(title.icontains(wanted.q, autoescape=True))
        columns = {"title": func.lower(title), "created_at": created_at, "used_at": used_at}
        then = used_at.desc(), col(Conversation.id).desc()
        return await paginate(self.session, query.order_by(*order(wanted.sort, columns, *then)), wanted)

    async def page_of(self, conversation: Conversation, size: int) -> int:
        """The page of the list of all that shows this conversation."""
        used_at, id_ = col(Conversation.used_at), col(Conversation.id)
        newer = (used_at > conversation.used_at) | (used_at == conversation.used_at) & (id_ > conversation.id)
        count = await self.session.scalar(select(func.count()).select_from(Conversation).where(self._own, newer))
        return (count or 0) // size + 1

    async def conversation(self, id: int) -> Conversation | None:
        query = select(Conversation).where(col(Conversation.id) == id, self._own)
        return (await self.session.scalars(query)).one_or_none()

    async def view(
        self, conversation: Conversation, before: int | None = None, at: int | None = None
    ) -> ConversationView:
        """The end of what is shown of a conversation, what came before a message of it, or what stands around one."""
        end = leaf = await self.leaf(conversation, at or 0)
        if before:
            parent = select(parent_key).where(key == before, conversation_key == conversation.id)
            end = await self.session.scalar(parent)
        elif at and leaf:
            answers = select(key).where(key.in_(way_to(leaf, since=at)), col(Message.role) == Role.ASSISTANT)
            end = max((await self.session.scalars(answers.order_by(key).limit(MAX_ANSWERS_AROUND))).all(), default=leaf)
        messages = await self.branch(end, steps=2 * MAX_QUESTIONS_PER_PAGE)
        return ConversationView(
            conversation, messages, await self.branches(messages), end == leaf, await self.files(messages)
        )

    async def news(self, conversation: Conversation, last: int) -> ConversationView:
        """What follows the last message that somebody sees of a branch."""
        leaf = await self.leaf(conversation, last)
        messages = await self.branch(leaf, steps=2 * MAX_QUESTIONS_PER_PAGE, since=last + 1)
        files = await self.files(messages)
        return ConversationView(conversation, messages, await self.branches(messages), files=files)

    async def leaf(self, conversation: Conversation, seen: int = 0) -> int | None:
        """The last message of the branch that is shown; where `seen` is not on it, of the newest one from there on."""
        stored = select(key).where(key == conversation.leaf_id, conversation_key == conversation.id)
        newest = select(func.max(key)).where(conversation_key == conversation.id)
        leaf: int | None = await self.session.scalar(
            select(func.coalesce(stored.scalar_subquery(), newest.scalar_subquery()))
        )
        if not leaf or not seen or seen in await self.session.scalars(way_to(leaf, since=seen)):
            return leaf
        below = await self.session.scalar(newest_below(conversation.id, seen))
        return below or leaf

    async def branch(self, leaf_id: int | None, *, steps: int | None = None, since: int = 0) -> list[Message]:
        """A message and those before it, in order: so many at most, and none before `since`."""
        query = select(Message).where(key.in_(way_to(leaf_id, steps=steps, since=since)) if leaf_id else false())
        return [*await self.session.scalars(query.order_by(key))]

    async def all_messages(self, conversation_id: int) -> list[Message]:
        """The messages of all branches, in the order in which they came."""
        return [*await self.session.scalars(select(Message).where(conversation_key == conversation_id).order_by(key))]

    async def branches(self, messages: Sequence[Message]) -> dict[int, list[int]]:
        """By the id of a message: what there is in its place."""
        below = defaultdict[int | None, list[int]](list)
        if messages:
            places = branches_at(messages[0].conversation_id, {message.parent_id for message in messages})
            for id_, parent_id in await self.session.execute(places):
                below[parent_id].append(id_)
        return {message.id: below[message.parent_id] for message in messages}

    async def files(self, messages: Sequence[Message], *, with_text: bool = False) -> dict[int, AnswerAttachment]:
        """What is attached to these messages, by id; of very much the newest."""
        ids = [id_ for message in messages for id_ in message.attachment_ids][-MAX_FILES:]
        return await find_attachments(self.session, self.owner_id, ids, with_text=with_text)

    async def message(self, id: int, role: Role | None = None) -> Message | None:
        """A message of this owner, in that role if one is named."""
        query = select(Message).join(Conversation, col(Conversation.id) == conversation_key).where(key == id, self._own)
        query = query.where(col(Message.role) == role) if role else query
        return (await self.session.scalars(query)).one_or_none()

    async def newest_answer(self, conversation_id: int) -> Message | None:
        query = select(Message).where(conversation_key == conversation_id, col(Message.role) == Role.ASSISTANT)
        return (await self.session.scalars(query.order_by(key.desc()).limit(1))).one_or_none()

    async def begin(self, question: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Conversation:
        """A new conversation with a title of the question's first words."""
        conversation = Conversation(owner_id=self.owner_id, title=title_of(question), **settings)
        self.session.add(conversation)
        await self.session.flush()
        return conversation

    async def change(self, conversation: Conversation, changes: dict[str, Any]) -> Conversation:
        conversation.sqlmodel_update(changes)
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
        query = select(Message).join(Conversation, col(Conversation.id) == conversation_key)
        query = query.where(self._own, col(Message.client_key) == client_key)
        if conversation_id is not None:
            query = query.where(conversation_key == conversation_id)
        question = (await self.session.scalars(query.limit(1))).one_or_none()
        if not question:
            return None
        answers = select(Message).where(parent_key == question.id).order_by(key.desc())
        return question, (await self.session.scalars(answers.limit(1))).one()

    async def ask(
        self,
        conversation: Conversation,
        content: str,
        client_key: str | None = None,
        after: int | None = None,
        files: Sequence[AnswerAttachment] = (),
    ) -> Message:
        """Store a question below the answer that it follows, with the files that are shown with it."""
        for file in files:
            file.topic = conversation.topic
        self.session.add_all(files)
        await self.session.flush()
        question = Message(
            conversation_id=conversation.id,
            parent_id=after,
            role=Role.USER,
            question=content,
            attachment_ids=[file.id for file in files],
            client_key=client_key,
        )
        self.session.add(question)
        await self.session.flush()
        return question

    async def place(self, answer: Answer, question: Message) -> Message:
        """Put an answer below its question, and show the branch that ends with it."""
        message = Message(
            conversation_id=question.conversation_id, parent_id=question.id, role=Role.ASSISTANT, answer=answer
        )
        self.session.add(message)
        await self.session.flush()
        await self._change(question.conversation_id, leaf_id=message.id, used_at=utc_now())
        return message

    async def show(self, message: Message) -> None:
        """Show the branch that was used last of those that go on from a message."""
        leaf = await self.session.scalar(newest_below(message.conversation_id, message.id))
        await self._change(message.conversation_id, leaf_id=leaf)

    async def _change(self, conversation_id: int, **values: Any) -> None:
        await self.session.execute(update(Conversation).where(col(Conversation.id) == conversation_id).values(**values))

    async def question(self, answer: Message) -> Message:
        return await self.session.get_one(Message, answer.parent_id)


def title_of(question: str) -> str:
    words = " ".join(question.split())
    return words if len(words) <= MAX_FIRST_WORDS_LENGTH else words[: MAX_FIRST_WORDS_LENGTH - 1].rstrip() + "…"
