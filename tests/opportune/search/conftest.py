import pytest

from opportune.db.database import Database
from opportune.search import Searchable
from opportune.search.models import searchable
from tests.opportune.search.books import Book, make_tables, migrated


@pytest.fixture
def nothing_is_searchable(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Yet, and in this database alone: those of all tests are copies of one that is migrated before."""
    monkeypatch.setattr(searchable, "registered", {})


@pytest.fixture
async def book_search(nothing_is_searchable: None, database: Database) -> Searchable[Book]:
    await make_tables(database)
    books = Searchable(Book, fields=["title", "summary"], url="/books/{id}")
    await migrated(database)
    return books
