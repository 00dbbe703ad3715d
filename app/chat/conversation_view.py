"""Views of a conversation for pages and the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.comparison import find_beside
from app.chat.conversations import (
    Conversations,
    conversation_id_column,
    find_files,
    find_leaf,
    find_siblings,
    message_id_column,
    parent_id_column,
    path_to,
    read_branch,
)
from app.chat.documents import code_blocks
from app.chat.models import Conversation, Message, Role
from opportune.contrib.answers import AnswerAttachment, AnswerManager, ShownAnswer

MAX_QUESTIONS_PER_PAGE = 25
"""Questions of a conversation on a page, each with its answer."""
MAX_ANSWERS_AROUND = 5
"""Answers on a page that begins at the message of a link."""


@dataclass(frozen=True)
class ShownMessage:
    """A message for templates. `answer` is None for a question."""

    message: Message
    answer: ShownAnswer | None
    branches: Sequence[int]
    files: Sequence[AnswerAttachment] = ()
    is_column: bool = False
    """True for one of two answers that are shown side by side."""
    is_current: bool = True
    """False for the column with which the conversation does not continue."""

    @property
    def topic(self) -> str:
        """Topic of the answer, by which columns are sorted."""
        return self.answer.answer.topic if self.answer else ""

    @property
    def code_block_count(self) -> int:
        return len(code_blocks(self.answer.answer.text)) if self.answer else 0

    @property
    def branch_index(self) -> int:
        """Index of the message among its branches."""
        return self.branches.index(self.message.id)


@dataclass(frozen=True)
class ConversationView:
    """Messages of one branch, oldest first."""

    conversation: Conversation
    messages: list[Message]
    branches: Mapping[int, Sequence[int]]
    """By message id: ids of the messages with the same parent, including this one, oldest first."""
    files: Mapping[int, AnswerAttachment]
    """Files of the questions by id."""
    is_end: bool = True
    """True if the view contains the last message of its branch."""
    beside: Message | None = None
    """Answer of another model to the last question, shown beside the last message."""

    @property
    def earlier(self) -> int | None:
        """Id of the first message if the branch has older ones, else None."""
        return self.messages[0].id if self.messages and self.messages[0].parent_id else None

    @property
    def read_from(self) -> int | None:
        """Id of the first question that the model read for the newest answer, if earlier ones were left out."""
        return self.messages[-1].read_from_id if self.is_end and self.messages else None

    @property
    def follow_ups(self) -> Sequence[str]:
        """Suggested questions after the newest answer."""
        return self.messages[-1].follow_ups if self.is_end and self.messages and not self.running else ()

    @property
    def all_messages(self) -> list[Message]:
        """The messages of the branch, followed by the answer beside the last one."""
        return [*self.messages, self.beside] if self.beside else self.messages

    @property
    def running(self) -> list[Message]:
        return [message for message in self.all_messages if message.is_running]

    async def render_messages(self) -> list[ShownMessage]:
        rendered = [await self._render(message) for message in self.all_messages]
        if self.beside:  # the last two are columns
            rendered[-2:] = sorted(rendered[-2:], key=lambda column: column.topic)
        return rendered

    async def _render(self, message: Message) -> ShownMessage:
        is_last = message is self.messages[-1]
        return ShownMessage(
            message,
            answer=await ShownAnswer.of(message.answer) if message.answer else None,
            branches=self.branches[message.id],
            files=[self.files[id_] for id_ in message.attachment_ids if id_ in self.files],
            is_column=message is self.beside or (is_last and self.beside is not None),
            is_current=message is not self.beside,
        )


async def view_conversation(
    answers: AnswerManager,
    owner_id: int,
    conversation_id: int,
    *,
    before: int | None = None,
    at: int | None = None,
    after: int = 0,
) -> ConversationView | None:
    """Read the end of the current branch, with the current text of a running answer. None if it does not exist.

    Instead of the end, read the messages `before` a message, around the message `at`, or `after` a message.
    """
    async with answers.database.reader() as session:
        conversation = await Conversations(session, owner_id).get(conversation_id)
        if conversation is None:
            return None
        leaf = await find_leaf(session, conversation, at or after)
        end_id = await _find_end_id(session, conversation, leaf, before, at)
        is_end = end_id == leaf
        first_id = after + 1 if after else 0
        messages = await read_branch(session, end_id, limit=2 * MAX_QUESTIONS_PER_PAGE, since=first_id)
        branches = await find_siblings(session, messages)
        files = await find_files(session, owner_id, messages)
        beside = None
        if messages and is_end and len(branches[messages[-1].id]) > 1:
            beside = await find_beside(session, messages[-1])
    if beside:
        branches[beside.id] = branches[messages[-1].id]
    view = ConversationView(conversation, messages, branches, files, is_end, beside)
    await answers.refresh(message.answer for message in view.all_messages if message.answer)
    return view


async def _find_end_id(
    session: AsyncSession, conversation: Conversation, leaf: int | None, before: int | None, at: int | None
) -> int | None:
    """Return the id of the last message to show: the parent of `before`, a few answers after `at`, or the leaf."""
    if before:
        parent_query = select(parent_id_column).where(
            message_id_column == before, conversation_id_column == conversation.id
        )
        return await session.scalar(parent_query)
    if at and leaf:
        branch_query = select(message_id_column).where(
            message_id_column.in_(path_to(leaf, since=at)), col(Message.role) == Role.ASSISTANT
        )
        following = (await session.scalars(branch_query.order_by(message_id_column).limit(MAX_ANSWERS_AROUND))).all()
        return max(following, default=leaf)
    return leaf
