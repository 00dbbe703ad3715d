"""The data layer of conversations and their messages. The caller commits the session.

Messages are a tree. A branch is the path from the first message to a leaf. Each query reads only the requested path, so
that long conversations open fast.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, false, func, literal, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import LINK, Conversation, Message, Role
from app.chat.schemas import ConversationFilter
from opportune.accounts import User
from opportune.contrib.answers import Answer, AnswerAttachment, find_attachments
from opportune.db import contains, restore, utc_now, with_deleted
from opportune.errors import NotFound, require_found
from opportune.pagination import Page, order, paginate

MARKS = re.compile(
    r"""
    ^\s*(?:```\w*$|\#{1,6}\s|>\s?|[*+-]\s)  # before a line: a fence, a heading, a quotation, an item of a list
    | (?<![\w*])(\*{1,3}|`+|~~)(?=[^\s*])(.+?)(?<=\S)\1(?![\w*])  # around words: emphasis and code
    """,
    re.MULTILINE | re.VERBOSE,
)
"""Marks of Markdown. Other characters, as in `2 * 3` and `C#`, belong to the question."""
MAX_TITLE_WORDS_LENGTH = 60
MAX_TITLE_SOURCE_LENGTH = 500
"""Characters of a question that are searched for marks. The time to find them grows with the square of the length."""
MAX_FILES = 50
"""Newest files of a branch that are read for a page or a prompt."""

message_id_column = col(Message.id)
parent_id_column = col(Message.parent_id)
conversation_id_column = col(Message.conversation_id)
is_listed = col(Conversation.is_temporary).is_(False)


def path_to(message_id: int, *, limit: int | None = None, since: int = 0) -> Select[int]:
    """Select the ids of a message and its ancestors: at most `limit`, none older than the message `since`."""
    start = select(message_id_column, parent_id_column, literal(1).label("step")).where(
        message_id_column == message_id, message_id_column >= since
    )
    path = start.cte("path", recursive=True)
    parents = (
        select(message_id_column, parent_id_column, path.c.step + 1)
        .join(path, message_id_column == path.c.parent_id)
        .where(message_id_column >= since)
    )
    path = path.union_all(parents.where(path.c.step < limit) if limit else parents)
    return select(path.c.id)


def newest_leaf_below(conversation_id: int, message_id: int) -> Select[int | None]:
    """Select the newest leaf below a message (or the message), NULL if it is in another conversation."""
    below = (
        select(message_id_column)
        .where(message_id_column == message_id, conversation_id_column == conversation_id)
        .cte("below", recursive=True)
    )
    below = below.union_all(select(message_id_column).join(below, parent_id_column == below.c.id))
    return select(func.max(below.c.id))


async def find_leaf(session: AsyncSession, conversation: Conversation, shown_id: int = 0) -> int | None:
    """Return the last message of the current branch. If the message `shown_id` is on another branch, use that one."""
    stored = select(message_id_column).where(
        message_id_column == conversation.leaf_id, conversation_id_column == conversation.id
    )
    newest = select(func.max(message_id_column)).where(conversation_id_column == conversation.id)
    leaf: int | None = await session.scalar(select(func.coalesce(stored.scalar_subquery(), newest.scalar_subquery())))
    if not leaf or not shown_id or shown_id in await session.scalars(path_to(leaf, since=shown_id)):
        return leaf
    return await session.scalar(newest_leaf_below(conversation.id, shown_id)) or leaf


async def read_branch(
    session: AsyncSession, leaf_id: int | None, *, limit: int | None = None, since: int = 0
) -> list[Message]:
    """Read a message and its ancestors, oldest first: at most `limit`, none older than the message `since`."""
    if not leaf_id:
        return []
    query = (
        select(Message)
        .where(message_id_column.in_(path_to(leaf_id, limit=limit, since=since)))
        .order_by(message_id_column)
    )
    return [*await session.scalars(query)]


async def find_siblings(session: AsyncSession, messages: Sequence[Message]) -> dict[int, list[int]]:
    """Map the id of each message to the ids of its parent's children, oldest first."""
    children = defaultdict[int | None, list[int]](list)
    if messages:
        parents = {message.parent_id for message in messages}
        # NULL never matches IN.
        is_child = or_(
            parent_id_column.in_(parents - {None}), parent_id_column.is_(None) if None in parents else false()
        )
        query = select(message_id_column, parent_id_column).where(
            conversation_id_column == messages[0].conversation_id, is_child
        )
        for id_, parent_id in await session.execute(query.order_by(message_id_column)):
            children[parent_id].append(id_)
    return {message.id: children[message.parent_id] for message in messages}


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
        title = col(Conversation.title)
        created_at = col(Conversation.created_at)
        used_at = col(Conversation.used_at)
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
        used_at = col(Conversation.used_at)
        id_ = col(Conversation.id)
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
        return await self.session.scalar(query)

    async def require(self, conversation_id: int) -> Conversation:
        """Return a conversation. Raises NotFound, for example if it was deleted during the request."""
        return require_found(await self.get(conversation_id))

    async def restore(self, conversation_id: int) -> Conversation:
        """Take a conversation out of the trash and return it.

        Raises:
            NotFound: It is not there.
        """
        is_deleted = col(Conversation.id) == conversation_id, col(Conversation.deleted_at).is_not(None)
        query = with_deleted(select(Conversation).where(self._is_owner, *is_deleted).with_for_update())
        conversation = require_found(await self.session.scalar(query))
        await restore(self.session, conversation)
        return conversation

    async def find_message(self, message_id: int) -> Message | None:
        return await self.session.scalar(self._messages.where(message_id_column == message_id))

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
        """Return the question with this key and its newest answer. Without an id, search all conversations.

        Raises:
            NotFound: Staff have deleted the answer.
        """
        query = self._messages.where(col(Message.client_key) == client_key)
        if conversation_id is not None:
            query = query.where(conversation_id_column == conversation_id)
        question = await self.session.scalar(query.limit(1))
        if not question:
            return None
        answers = select(Message).where(parent_id_column == question.id).order_by(message_id_column.desc())
        if answer := await self.session.scalar(answers.limit(1)):
            return question, answer
        raise NotFound

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


async def find_newest_answer(session: AsyncSession, conversation_id: int) -> Message | None:
    query = select(Message).where(conversation_id_column == conversation_id, col(Message.role) == Role.ASSISTANT)
    return await session.scalar(query.order_by(message_id_column.desc()).limit(1))


async def find_files(
    session: AsyncSession, owner_id: int, messages: Sequence[Message], *, with_text: bool = False
) -> dict[int, AnswerAttachment]:
    """Return the newest files of these messages by id."""
    ids = [id_ for message in messages for id_ in message.attachment_ids][-MAX_FILES:]
    return await find_attachments(session, owner_id, ids, with_text=with_text)


def title_from_question(question: str) -> str:
    beginning = question.lstrip()[:MAX_TITLE_SOURCE_LENGTH]
    words = " ".join(MARKS.sub(r"\2", LINK.sub(r"\1", beginning)).split() or beginning.split())
    return words if len(words) <= MAX_TITLE_WORDS_LENGTH else words[: MAX_TITLE_WORDS_LENGTH - 1].rstrip() + "…"
