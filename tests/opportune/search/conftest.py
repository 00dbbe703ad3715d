"""A searchable model of books."""

import pytest

from opportune.db.database import Database
from opportune.search import Searchable, registry
from tests.opportune.search.books import Book, create_indexes, make_tables


@pytest.fixture
def isolated_searchables(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit models that a test makes searchable to its database, and keep those of the project."""
    monkeypatch.setattr(registry, "registered", dict(registry.registered))


@pytest.fixture
async def book_search(isolated_searchables: None, database: Database) -> Searchable[Book]:
    await make_tables(database)
    books = Searchable(Book, fields=["title", "summary"], url="/books/{id}")
    await create_indexes(database)
    return books
