"""Queries for branches: messages are a tree, and what is shown of it is the way from its beginning to a leaf.

None reads more of a conversation than what lies on the way that is asked for.
"""

from collections.abc import Collection

from sqlalchemy import Select, func, literal, or_, select
from sqlmodel import col

from app.chat.models import Message

key, parent_key, conversation_key = col(Message.id), col(Message.parent_id), col(Message.conversation_id)


def way_to(message_id: int, *, steps: int | None = None, since: int = 0) -> Select[tuple[int]]:
    """The ids of a message and of those before it: so many at most, and none before the message `since`."""
    last = select(key, parent_key, literal(1).label("step")).where(key == message_id, key >= since)
    way = last.cte("way", recursive=True)
    before = select(key, parent_key, way.c.step + 1).join(way, key == way.c.parent_id).where(key >= since)
    way = way.union_all(before.where(way.c.step < steps) if steps else before)
    return select(way.c.id)


def newest_below(conversation_id: int, message_id: int) -> Select[tuple[int | None]]:
    """The leaf that was added last below a message; itself if there is none, and nothing if it is in another."""
    below = select(key).where(key == message_id, conversation_key == conversation_id).cte("below", recursive=True)
    below = below.union_all(select(key).join(below, parent_key == below.c.id))
    return select(func.max(below.c.id))


def branches_at(conversation_id: int, parents: Collection[int | None]) -> Select[tuple[int, int | None]]:
    """The ids of the messages below each of these, with its own, in order; None stands for the beginning."""
    known = [parent for parent in parents if parent]
    places = or_(parent_key.in_(known), parent_key.is_(None)) if None in parents else parent_key.in_(known)
    return select(key, parent_key).where(conversation_key == conversation_id, places).order_by(key)
