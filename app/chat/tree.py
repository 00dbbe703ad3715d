"""Branches of a conversation. Its messages are a tree; a branch is the path from the first message to a leaf.

Each query reads only the requested path, so that long conversations open fast.
"""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import Select, false, func, literal, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message

key, parent_key, conversation_key = col(Message.id), col(Message.parent_id), col(Message.conversation_id)


def path_to(message_id: int, *, limit: int | None = None, since: int = 0) -> Select[tuple[int]]:
    """Select the ids of a message and its ancestors: at most `limit`, none older than the message `since`."""
    start = select(key, parent_key, literal(1).label("step")).where(key == message_id, key >= since)
    path = start.cte("path", recursive=True)
    parents = select(key, parent_key, path.c.step + 1).join(path, key == path.c.parent_id).where(key >= since)
    path = path.union_all(parents.where(path.c.step < limit) if limit else parents)
    return select(path.c.id)


def newest_leaf_below(conversation_id: int, message_id: int) -> Select[tuple[int | None]]:
    """Select the newest leaf below a message (or the message), NULL if it is in another conversation."""
    below = select(key).where(key == message_id, conversation_key == conversation_id).cte("below", recursive=True)
    below = below.union_all(select(key).join(below, parent_key == below.c.id))
    return select(func.max(below.c.id))


async def find_leaf(session: AsyncSession, conversation: Conversation, seen: int = 0) -> int | None:
    """Return the last message of the current branch. If `seen` is on another branch, use that one."""
    stored = select(key).where(key == conversation.leaf_id, conversation_key == conversation.id)
    newest = select(func.max(key)).where(conversation_key == conversation.id)
    leaf: int | None = await session.scalar(select(func.coalesce(stored.scalar_subquery(), newest.scalar_subquery())))
    if not leaf or not seen or seen in await session.scalars(path_to(leaf, since=seen)):
        return leaf
    return await session.scalar(newest_leaf_below(conversation.id, seen)) or leaf


async def read_branch(
    session: AsyncSession, leaf_id: int | None, *, limit: int | None = None, since: int = 0
) -> list[Message]:
    """Read a message and its ancestors, oldest first: at most `limit`, none older than the message `since`."""
    if not leaf_id:
        return []
    query = select(Message).where(key.in_(path_to(leaf_id, limit=limit, since=since))).order_by(key)
    return [*await session.scalars(query)]


async def find_siblings(session: AsyncSession, messages: Sequence[Message]) -> dict[int, list[int]]:
    """Map the id of each message to the ids of its parent's children, oldest first."""
    children = defaultdict[int | None, list[int]](list)
    if messages:
        parents = {message.parent_id for message in messages}
        # NULL never matches IN.
        is_child = or_(parent_key.in_(parents - {None}), parent_key.is_(None) if None in parents else false())
        query = select(key, parent_key).where(conversation_key == messages[0].conversation_id, is_child)
        for id_, parent_id in await session.execute(query.order_by(key)):
            children[parent_id].append(id_)
    return {message.id: children[message.parent_id] for message in messages}
