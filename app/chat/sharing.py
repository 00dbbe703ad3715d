"""Public links to a conversation up to a message. The owner can delete them."""

from typing import NamedTuple

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversation_view import MAX_QUESTIONS_PER_PAGE
from app.chat.conversations import find_leaf, is_listed, message_id_column, path_to, read_branch
from app.chat.models import Conversation, Message, Share
from opportune.accounts import User
from opportune.errors import require_found
from opportune.i18n import gettext as _
from opportune.pagination import Page, Paging, paginate


class NothingToShareError(Exception):
    """The current branch does not end with a finished answer, or the conversation is temporary."""

    def __init__(self, *, is_temporary: bool = False) -> None:
        super().__init__(
            _("A temporary conversation cannot be shared. Keep it first.")
            if is_temporary
            else _("There is nothing to share yet. Wait until the answer is complete.")
        )


class SharedView(NamedTuple):
    """Messages of a shared branch, without the owner and other branches."""

    share: Share
    messages: list[Message]

    @property
    def earlier(self) -> int | None:
        return self.messages[0].id if self.messages and self.messages[0].parent_id else None


class Shares:
    """The links of one owner."""

    def __init__(self, session: AsyncSession, owner_id: int) -> None:
        self.session = session
        conversations = select(col(Conversation.id)).where(col(Conversation.owner_id) == owner_id)
        self._is_owner = col(Share.conversation_id).in_(conversations)

    async def list(self, paging: Paging) -> Page[Share]:
        query = select(Share).where(self._is_owner).order_by(col(Share.id).desc())
        return await paginate(self.session, query, paging)

    async def create(self, conversation: Conversation) -> Share:
        """Return a link to the current branch, the existing one if it is the same.

        Raises:
            NothingToShareError: The last answer is not finished, or the conversation is temporary.
        """
        if conversation.is_temporary:
            raise NothingToShareError(is_temporary=True)
        # Lock the conversation. Otherwise two concurrent requests would each create a link.
        row = select(col(Conversation.id)).where(col(Conversation.id) == conversation.id)
        await self.session.execute(row.with_for_update())
        leaf_id = await find_leaf(self.session, conversation)
        leaf = await self.session.get(Message, leaf_id) if leaf_id else None
        if leaf is None or leaf.is_running:
            raise NothingToShareError
        query = select(Share).where(col(Share.message_id) == leaf.id, col(Share.title) == conversation.title)
        existing = await self.session.scalar(query.order_by(col(Share.id).desc()).limit(1))
        if existing and existing.shows(leaf):
            return existing
        share = Share(conversation_id=conversation.id, message_id=leaf.id, title=conversation.title)
        self.session.add(share)
        await self.session.flush()
        return share

    async def delete(self, share_id: int) -> None:
        """Delete a link. Raises NotFound if it does not exist."""
        deletion = delete(Share).where(col(Share.id) == share_id, self._is_owner)
        require_found(await self.session.scalar(deletion.returning(col(Share.id))))


async def read_share(session: AsyncSession, token: str, before: int | None = None) -> SharedView | None:
    """Read the end of a shared branch, or messages `before` one. None for unknown and closed links.

    A link is closed while its owner is inactive, or its conversation is temporary or in the trash.
    """
    query = select(Share).join(Conversation).join(User, col(User.id) == col(Conversation.owner_id))
    share = await session.scalar(query.where(col(Share.token) == token, col(User.is_active), is_listed))
    if share is None:
        return None
    last_id: int | None = share.message_id
    if before:
        is_on_branch = message_id_column.in_(path_to(share.message_id, since=before))
        last_id = await session.scalar(select(col(Message.parent_id)).where(message_id_column == before, is_on_branch))
    return SharedView(share, await read_branch(session, last_id, limit=2 * MAX_QUESTIONS_PER_PAGE))
