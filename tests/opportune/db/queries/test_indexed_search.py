"""Searches through a search index, compared with the same searches without it."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import MetaData, inspect, select, text
from sqlmodel import Field, Relationship, col

from opportune.db import Database, SoftDelete, utc_now, with_deleted
from opportune.db.queries import indexed_search
from opportune.db.queries.indexed_search import narrow_search
from opportune.db.queries.matching import matching_words
from opportune.db.queries.paths import AttributePath, parse_path
from opportune.errors import OperatorError
from tests.opportune.stored_rows import execute
from tests.opportune.tables import UnmigratedTable, make_tables

pytestmark = pytest.mark.database("sqlite", "postgresql")


class Maker(UnmigratedTable, table=True):
    __tablename__ = "test_indexed_maker"

    name: str = Field(max_length=50)


class Tool(UnmigratedTable, SoftDelete, table=True):
    __tablename__ = "test_indexed_tool"
    search_index = ("name", "order")

    name: str = Field(max_length=100)
    order: str = Field(default="", max_length=100)
    """A reserved word, which needs quotes."""
    weight: int = 0
    maker_id: int | None = Field(default=None, foreign_key="test_indexed_maker.id", index=True)
    maker: Maker | None = Relationship()


NAMES = [
    *("Hammer", "hammer drill", "HAMMERHEAD", "100% wool"),
    *("under_score", "underXscore", 'a "quoted" name', "it's here"),
    *("slash / back\\slash", "Äpfel", "äpfel", "Straße", "Kelvin \u212aelvin", "\u0130stanbul ΛΎΚΟΣ", "日本語の道具"),
    *("🔨 tool 🔧🔩🪛", "ab", "a AND b OR c", "-minus *star* (paren)", "tab\there"),
]
TEXTS = [
    *("hammer", "HAMMER", "hammer drill", "drill hammer", '"hammer drill"', '"drill hammer"', "ham dri", "head"),
    *("100%", "0% w", "%", "_", "r_s", "under_score", "%%%", "___", '"quoted"', '""', '"""', "'", "it's", "' OR 1=1"),
    *("\\", "back\\slash", "/", "sh /", "\0ham\0mer", "äpfel", "ÄPFEL", "pfel", "strasse", "straße", "kelvin", "elvin"),
    *("istanbul", "ISTANBUL", "λύκος", "κος", "日本語", "本語", "道具", "🔧🔩🪛", "🔨", "a", "ab", "ham ab", "AND"),
    *("a AND b", "NOT hammer", "-minus", "*star*", "(paren)", "name:hammer", "nothing like this", "tab\there"),
    *("x" * 200, "smith", "smith hammer", "12 hammer", "wool 12"),
]


@pytest.fixture
async def tools(database: Database) -> Database:
    await make_tables(database, Maker, Tool)
    async with database.writer() as session:
        maker = Maker(name="Smith")
        session.add(maker)
        await session.flush()
        session.add_all([Tool(name=name, weight=12 * (index % 2)) for index, name in enumerate(NAMES)])
        session.add_all([Tool(name="plain", order=name.upper(), maker_id=maker.id) for name in NAMES[::2]])
    return database


async def search(database: Database, words: str, *names: str, is_indexed: bool) -> Sequence[str]:
    searched = paths(*names)
    async with database.reader() as session:
        narrowed = await narrow_search(session, searched, words) if is_indexed else ()
        query = select(col(Tool.name), col(Tool.order)).where(*matching_words(searched, words), *narrowed)
        return sorted(map(str, await session.execute(query)))


def paths(*names: str) -> list[AttributePath]:
    return [parse_path(inspect(Tool), name) for name in names or ("name", "order")]


async def read_condition(database: Database, words: str, *names: str) -> str:
    """Return the additional condition of an indexed search as SQL."""
    async with database.reader() as session:
        conditions = await narrow_search(session, paths(*names), words)
    return " ".join(str(condition.compile(compile_kwargs={"literal_binds": True})) for condition in conditions)


@pytest.mark.parametrize("names", [("name", "order", "weight"), ("order", "maker.name")])
async def test_rows_are_the_same_as_without_index(tools: Database, names: Sequence[str]) -> None:
    for words in TEXTS:
        expected = await search(tools, words, *names, is_indexed=False)
        assert await search(tools, words, *names, is_indexed=True) == expected, words


async def test_rare_words_are_replaced_by_ids(tools: Database) -> None:
    assert await read_condition(tools, "100%") == "test_indexed_tool.id IN (4)"
    assert "IN (NULL)" in await read_condition(tools, "missing")


async def test_frequent_words_are_not_narrowed(tools: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexed_search, "MAX_MATCHES", 3)
    assert await read_condition(tools, "plain") == ""
    assert await read_condition(tools, "plain 100%") != ""
    assert await read_condition(tools, "plain wool", "name", "order", "maker.name") != "", "one rare word is enough"
    monkeypatch.setattr(indexed_search, "_read_ids", None)  # would fail
    assert await read_condition(tools, "plain") == "", "remembered"


async def test_short_words_and_other_columns_are_not_narrowed(tools: Database) -> None:
    for words, names in (("ab", ()), ("ab \0", ()), ("smith", ("maker.name",)), ("hammer", ("weight",))):
        assert await read_condition(tools, words, *names) == "", words


async def test_deleted_rows_are_found_in_the_trash(tools: Database) -> None:
    async with tools.writer() as session:
        tool = (await session.scalars(select(Tool).where(col(Tool.name) == "Hammer"))).one()
        tool.deleted_at = utc_now()
    async with tools.reader() as session:
        narrowed = await narrow_search(session, paths(), "hammer")
        rows = await session.scalars(with_deleted(select(Tool).where(*narrowed, col(Tool.name) == "Hammer")))
        assert len(rows.all()) == 1


@pytest.mark.database("postgresql")
async def test_search_works_without_extension(tools: Database) -> None:
    await execute(tools, text("DROP EXTENSION pg_trgm CASCADE"))
    assert await search(tools, "hammer", is_indexed=True) == await search(tools, "hammer", is_indexed=False)


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (("nam",), r"Bad\d\.search_index: Bad\d has no text column 'nam'\. Did you mean name\?"),
        ("name", r"search_index is a text\. Write a tuple: \('name',\)"),
    ],
)
def test_wrong_declaration_is_refused(declaration: object, message: str, request: pytest.FixtureRequest) -> None:
    class_name = f"Bad{request.node.callspec.indices['message']}"
    namespace = {
        "__tablename__": f"test_indexed_{class_name.lower()}",
        "__module__": __name__,
        "__qualname__": class_name,
        "__annotations__": {"name": str, "weight": int},
        "search_index": declaration,
        "metadata": MetaData(),
    }
    make_class: Any = type(UnmigratedTable)
    with pytest.raises(OperatorError, match=message):
        make_class(class_name, (UnmigratedTable,), namespace, table=True)
