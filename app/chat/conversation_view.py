"""Views of a conversation for pages and the API."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Role
from app.chat.service import Conversations, find_files
from app.chat.tree import (
    conversation_id_column,
    find_leaf,
    find_siblings,
    message_id_column,
    parent_id_column,
    path_to,
    read_branch,
)
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

    @property
    def earlier(self) -> int | None:
        """Id of the first message if the branch has older ones, else None."""
        return self.messages[0].id if self.messages and self.messages[0].parent_id else None

    async def render_messages(self) -> list[ShownMessage]:
        return [
            ShownMessage(
                message,
                await ShownAnswer.of(message.answer) if message.answer else None,
                self.branches[message.id],
                [self.files[id_] for id_ in message.attachment_ids if id_ in self.files],
            )
            for message in self.messages
        ]


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
        messages = await read_branch(session, end_id, limit=2 * MAX_QUESTIONS_PER_PAGE, since=after + 1 if after else 0)
        siblings = await find_siblings(session, messages)
        files = await find_files(session, owner_id, messages)
    await answers.refresh(message.answer for message in messages if message.answer)
    return ConversationView(conversation, messages, siblings, files, is_end=end_id == leaf)


async def _find_end_id(
    session: AsyncSession, conversation: Conversation, leaf: int | None, before: int | None, at: int | None
) -> int | None:
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
