"""Search in all conversations of a person. The database keeps the indexes fresh, whoever changes a row."""

from typing import Any

from sqlalchemy import Select, Subquery, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.chat.models import Conversation, Message
from opportune.llm import Answer
from opportune.pagination import page_count
from opportune.search import MAX_QUERY_LENGTH, Searchable, SearchQuery, SearchResults, highlight, snippet
from opportune.web import Schema

title_search = Searchable(Conversation, fields=["title"])
question_search = Searchable(Message, fields=["question"])
answer_search = Searchable(Answer, fields=["text"])


class ChatHit(Schema):
    """A conversation that is found by its title, or a message in it."""

    conversation_id: int
    message_id: int | None
    url: str
    name_html: str
    """The conversation's title, escaped, with what was looked for in <mark>."""
    snippet_html: str
    """Some words of the message, likewise."""


async def search(session: AsyncSession, owner_id: int, asked: SearchQuery) -> SearchResults[ChatHit]:
    """One page of what a person finds: titles, then questions and answers, the newest first."""
    query = asked.q.strip()[:MAX_QUERY_LENGTH]
    if not query:
        return SearchResults(items=[], total=0, page=1, pages=1, query="")
    places = _places(session, owner_id, query)
    total = await session.scalar(select(func.count()).select_from(places)) or 0
    conversation_id, message_id = places.c
    titles_first = (message_id == 0).desc(), message_id.desc(), conversation_id.desc()
    page = select(places).order_by(*titles_first)
    found = (await session.execute(page.offset((asked.page - 1) * asked.size).limit(asked.size))).tuples().all()
    ids = [place[0] for place in found], [place[1] for place in found]
    conversations = await session.scalars(select(Conversation).where(col(Conversation.id).in_(ids[0])))
    messages = await session.scalars(select(Message).where(col(Message.id).in_(ids[1])))
    titles, texts = {each.id: each.title for each in conversations}, {each.id: each.text for each in messages}
    return SearchResults(
        items=[_hit(query, place, titles[place[0]], texts.get(place[1], "")) for place in found],
        total=total,
        page=asked.page,
        pages=page_count(total, asked.size),
        query=query,
    )


def _places(session: AsyncSession, owner_id: int, query: str) -> Subquery:
    """Conversation and message of all that is found; a title has no message, which is 0."""
    wanted = col(Message.conversation_id), col(Message.id)
    own = col(Conversation.owner_id) == owner_id
    asked = select(Message).join(Conversation, col(Conversation.id) == col(Message.conversation_id)).where(own)
    answered = select(Answer).join(Message, col(Message.answer_id) == col(Answer.id))
    answered = answered.where(col(Answer.owner_id) == owner_id)
    titles = title_search.search(session, query, select(Conversation).where(own))
    columns: Any = col(Conversation.id).label("conversation_id"), literal(0).label("message_id")
    found: list[Select[Any]] = [
        titles.with_only_columns(*columns, maintain_column_froms=True),
        question_search.search(session, query, asked).with_only_columns(*wanted, maintain_column_froms=True),
        answer_search.search(session, query, answered).with_only_columns(*wanted, maintain_column_froms=True),
    ]
    return union_all(*(each.order_by(None) for each in found)).subquery()


def _hit(query: str, place: tuple[int, int], title: str, text: str) -> ChatHit:
    conversation_id, message_id = place
    return ChatHit(
        conversation_id=conversation_id,
        message_id=message_id or None,
        url=f"/chat/{conversation_id}" + (f"?at={message_id}#m{message_id}" if message_id else ""),
        name_html=highlight(title, query),
        snippet_html=snippet(text, query),
    )
