"""Full-text search in the conversations of one owner. Database triggers update the indexes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, Subquery, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.conversations import is_listed
from app.chat.models import Conversation, Message
from opportune.accounts import User
from opportune.contrib.answers import Answer
from opportune.feature import Link
from opportune.pagination import page_count
from opportune.search import MAX_QUERY_LENGTH, Searchable, SearchQuery, SearchResults, highlight, snippet
from opportune.web import Schema

title_search = Searchable(Conversation, fields=["title"])
question_search = Searchable(Message, fields=["question"])
answer_search = Searchable(Answer, fields=["text"])


class ChatHit(Schema):
    """A conversation with a matching title, or a matching message."""

    conversation_id: int
    message_id: int | None
    url: str
    name_html: str
    """Escaped title of the conversation with matches in <mark>."""
    snippet_html: str
    """Escaped excerpt of the message with matches in <mark>."""


async def search_messages(session: AsyncSession, owner_id: int, request: SearchQuery) -> SearchResults[ChatHit]:
    """Return one page of hits: titles first, then messages, newest first."""
    query = request.q.strip()[:MAX_QUERY_LENGTH]
    if not query:
        return SearchResults(items=[], total=0, page=1, pages=1, query="")
    matches = _matches(session, owner_id, query)
    total = await session.scalar(select(func.count()).select_from(matches)) or 0
    titles_first = (matches.c.message_id == 0).desc(), matches.c.message_id.desc(), matches.c.conversation_id.desc()
    page = select(matches).order_by(*titles_first).offset((request.page - 1) * request.size).limit(request.size)
    ids = [(conversation_id, message_id) for conversation_id, message_id in await session.execute(page)]
    hits = await _read_hits(session, query, ids)
    pages = page_count(total, request.size)
    return SearchResults(items=hits, total=total, page=request.page, pages=pages, query=query)


async def _read_hits(session: AsyncSession, query: str, ids: Sequence[tuple[int, int]]) -> list[ChatHit]:
    is_found = col(Conversation.id).in_([conversation_id for conversation_id, _ in ids])
    is_found_message = col(Message.id).in_([message_id for _, message_id in ids])
    titles = {row.id: row.title for row in await session.scalars(select(Conversation).where(is_found))}
    texts = {row.id: row.text for row in await session.scalars(select(Message).where(is_found_message))}
    return [
        _hit(query, conversation_id, message_id, titles[conversation_id], texts.get(message_id, ""))
        for conversation_id, message_id in ids
        if conversation_id in titles  # else deleted since the query of the ids
    ]


async def search_titles(session: AsyncSession, user: User | None, query: str, limit: int) -> Sequence[Link]:
    if user is None:
        return []
    within = select(Conversation).where(col(Conversation.owner_id) == user.id, is_listed)
    conversations = await session.scalars(title_search.search(session, query, within).limit(limit))
    return [Link(conversation.title, f"/chat/{conversation.id}", "message-circle") for conversation in conversations]


def _matches(session: AsyncSession, owner_id: int, query: str) -> Subquery:
    """Select the ids of conversation and message of all matches. For a title the message id is 0."""
    ids = col(Message.conversation_id), col(Message.id)
    is_owner = (col(Conversation.owner_id) == owner_id) & is_listed
    questions = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(is_owner)
    answers = select(Answer).join(Message, col(Message.answer_id) == col(Answer.id))
    answers = answers.join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(is_owner)
    titles = title_search.search(session, query, select(Conversation).where(is_owner))
    columns: Any = col(Conversation.id).label("conversation_id"), literal(0).label("message_id")
    selects: list[Select[int, int]] = [
        titles.with_only_columns(*columns, maintain_column_froms=True),
        question_search.search(session, query, questions).with_only_columns(*ids, maintain_column_froms=True),
        answer_search.search(session, query, answers).with_only_columns(*ids, maintain_column_froms=True),
    ]
    return union_all(*(statement.order_by(None) for statement in selects)).subquery()


def _hit(query: str, conversation_id: int, message_id: int, title: str, text: str) -> ChatHit:
    position = f"?at={message_id}#m{message_id}" if message_id else ""
    return ChatHit(
        conversation_id=conversation_id,
        message_id=message_id or None,
        url=f"/chat/{conversation_id}{position}",
        name_html=highlight(title, query),
        snippet_html=snippet(text, query),
    )
