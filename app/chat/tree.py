"""Branches of a conversation. Its messages are a tree; a branch is the path from the first message to a leaf.

Each query reads only the requested path, so that long conversations open fast.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Select, false, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message

message_id_column = col(Message.id)
parent_id_column = col(Message.parent_id)
conversation_id_column = col(Message.conversation_id)


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
