"""Search of the documents by language models, also for thirty questions about the handbook of a library."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.dialects import postgresql

from opportune.accounts import User
from opportune.contrib.knowledge import only_collections
from opportune.contrib.knowledge.models import KnowledgePassage, passage_search
from opportune.contrib.llm import ToolCall
from opportune.contrib.tools import ToolResult, toolbox_of
from opportune.db import Database
from opportune.search.postgresql import PostgreSQL
from opportune.testing import make_team, make_user, signed_in_client
from tests.opportune.contrib.knowledge.handbook_questions import QUESTIONS, find_misses, store_handbook
from tests.opportune.contrib.knowledge.shelves import make_collection, make_document

MIN_HITS = 27


@pytest.fixture
async def collections(database: Database, user: User) -> Mapping[str, int]:
    other = await make_user(database)
    team, other_team = await make_team(database, user), await make_team(database, other)
    owners: dict[str, dict[str, Any]] = {"user": {"owner_id": user.id}, "team": {"team_id": team.id}}
    owners |= {"site": {"is_site": True}, "stranger": {"owner_id": other.id}, "other team": {"team_id": other_team.id}}
    stored = {name: await make_collection(database, name, **fields) for name, fields in owners.items()}
    for name, collection in stored.items():
        await make_document(database, collection.id, f"The vault of the {name} opens at nine.")
    return {name: collection.id for name, collection in stored.items()}


async def search(app: FastAPI, user: User | None, words: str = "When does the vault open?") -> ToolResult:
    return await toolbox_of(app).call(ToolCall("1", "search_knowledge", json.dumps({"words": words})), user)


def owners_in(result: ToolResult) -> Sequence[str]:
    return sorted(source.text.removeprefix("The vault of the ").partition(" opens")[0] for source in result.sources)


@pytest.mark.database("sqlite", "postgresql")
async def test_tool_finds_readable_documents(app: FastAPI, user: User, collections: Mapping[str, int]) -> None:
    assert owners_in(await search(app, user)) == ["site", "team", "user"]
    assert owners_in(await search(app, await make_user(app.state.database))) == ["site"]


async def test_tool_needs_a_user(app: FastAPI, collections: Mapping[str, int]) -> None:
    result = await search(app, None)
    assert (result.is_error, result.sources) == (True, ())


async def test_scope_limits_the_tool(app: FastAPI, user: User, collections: Mapping[str, int]) -> None:
    with only_collections([collections["team"], collections["stranger"]]):
        assert owners_in(await search(app, user)) == ["team"]
    with only_collections([]):
        assert owners_in(await search(app, user)) == []
    assert len((await search(app, user)).sources) == 3


@pytest.mark.parametrize("part", ["x", "9" * 5_000])
async def test_invalid_collection_is_empty(app: FastAPI, user: User, collections: Mapping[str, int], part: str) -> None:
    tools = toolbox_of(app).named([f"search_knowledge:{part}"])
    result = await tools.call(ToolCall("1", "search_knowledge", '{"words": "vault"}'), user)
    assert (result.is_error, result.sources) == (False, ())


async def test_source_links_to_the_passage(app: FastAPI, user: User, database: Database) -> None:
    collection = await make_collection(database, owner_id=user.id)
    document = await make_document(database, collection.id, "A loan lasts four weeks.", page=3)
    (source,) = (await search(app, user, "loan")).sources
    assert (source.title, source.url) == ("Guide, page 3", f"/knowledge/documents/{document.id}?passage=1#passage")
    async with signed_in_client(app, user) as client:
        assert "Original" not in (await client.get(source.url)).text, "the document has neither a file nor a URL"


@pytest.mark.parametrize("words", ["", "the of and", "ä" * 3_000, "-- OR 1=1"])
async def test_any_text_is_a_query(app: FastAPI, user: User, collections: Mapping[str, int], words: str) -> None:
    assert not (await search(app, user, words)).is_error


def test_planner_does_not_know_the_searched_words() -> None:
    """For frequent words it would parse the text of each row instead of using the full-text index."""
    statement = PostgreSQL().ranked(select(KnowledgePassage), passage_search.fields, "vault")
    sql = str(statement.compile(dialect=postgresql.dialect()))  # type: ignore[no-untyped-call]
    assert "@@ (SELECT to_tsquery(" in sql


@pytest.mark.database("sqlite", "postgresql")
async def test_answers_are_among_the_first_five_passages(database: Database, user: User) -> None:
    await store_handbook(database, user)
    misses = await find_misses(database, user)
    assert QUESTIONS - len(misses) >= MIN_HITS, misses
