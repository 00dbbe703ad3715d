"""Tool with which a language model searches the documents of the user."""

from collections.abc import Sequence

from opportune.accounts.dependencies import CurrentUser
from opportune.contrib.knowledge.service import Collections, collection_scope, find_passages, readable_passages
from opportune.contrib.tools.declaration import tool
from opportune.contrib.tools.source import Source
from opportune.db.sessions.dependencies import ReadSession
from opportune.i18n import gettext_lazy as _l


async def search_knowledge(user: CurrentUser, session: ReadSession, words: str) -> Sequence[Source]:
    """Search the documents of the user, their teams and this site for words or a question. Returns passages."""
    within = readable_passages(Collections(session, user), collection_scope.get())
    passages = await find_passages(session, words, within)
    return [Source(title=passage.place, url=passage.url, text=passage.text) for passage in passages]


search_tool = tool(search_knowledge, status=_l("Searching the documents"))
