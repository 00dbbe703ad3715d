"""Links with which anybody reads a conversation up to a message, until its owner takes them back."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message, Share
from app.chat.service import MAX_QUESTIONS_PER_PAGE, Chat
from app.chat.tree import way_to
from opportune.accounts import User
from opportune.pagination import Page, Paging, paginate


class NothingToShareError(Exception):
    """There is no whole answer at the end of what is shown."""


@dataclass(frozen=True)
class SharedView:
    """A part of what is shared. Whose it is, and what was said on other branches, it does not tell."""

    share: Share
    messages: list[Message]

    @property
    def earlier(self) -> int | None:
        return self.messages[0].id if self.messages and self.messages[0].parent_id else None


class Shares:
    """What one owner shares."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        self.owner_id = owner_id
        own = select(col(Conversation.id)).where(col(Conversation.owner_id) == owner_id)
        self._own = col(Share.conversation_id).in_(own)

    async def list(self, wanted: Paging) -> Page[Share]:
        return await paginate(self.session, select(Share).where(self._own).order_by(col(Share.id).desc()), wanted)

    async def add(self, conversation: Conversation) -> Share:
        """Share what is shown of a conversation now; the same again where that is shared already.

        Raises:
            NothingToShareError: its last answer is still being written, or there is none.
        """
        leaf_id = await Chat(self.session, self.owner_id).leaf(conversation)
        leaf = await self.session.get(Message, leaf_id) if leaf_id else None
        if leaf is None or leaf.is_running:
            raise NothingToShareError
        query = select(Share).where(col(Share.message_id) == leaf.id, col(Share.title) == conversation.title)
        there = (await self.session.scalars(query.order_by(col(Share.id).desc()).limit(1))).one_or_none()
        if there and there.shows(leaf):
            return there
        share = Share(conversation_id=conversation.id, message_id=leaf.id, title=conversation.title)
        self.session.add(share)
        await self.session.flush()
        return share

    async def remove(self, share_id: int) -> bool:
        """Take a link back: whether there was one."""
        result = await self.session.execute(
            delete(Share).where(col(Share.id) == share_id, self._own).returning(col(Share.id))
        )
        return result.scalar_one_or_none() is not None


async def read_share(session: AsyncSession, token: str, before: int | None = None) -> SharedView | None:
    """The end of what is shared by a link, or what came before a message of it; nothing of who was closed out."""
    query = select(Share).join(Conversation).join(User, col(User.id) == col(Conversation.owner_id))
    share = (await session.scalars(query.where(col(Share.token) == token, col(User.is_active)))).one_or_none()
    if share is None:
        return None
    end: int | None = share.message_id
    if before:  # not of another branch
        on_way = col(Message.id).in_(way_to(share.message_id, since=before))
        end = await session.scalar(select(col(Message.parent_id)).where(col(Message.id) == before, on_way))
    return SharedView(share, await Chat(session, 0).branch(end, steps=2 * MAX_QUESTIONS_PER_PAGE))
