"""Tables whose `__init__` SQLAlchemy compiles once: each is still its own."""

import pytest
from sqlalchemy.orm import DeclarativeBase, Mapped, instrumentation, mapped_column

from opportune.db.drivers import declarative_adapter


def test_two_tables_share_the_text_of_their_init_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrumentation, "exec", None, raising=False)  # put back afterwards
    declarative_adapter.install()
    before = declarative_adapter._compiled.cache_info()

    class Base(DeclarativeBase):
        pass

    class Book(Base):
        __tablename__ = "book"
        id: Mapped[int] = mapped_column(primary_key=True)

    class Page(Base):
        __tablename__ = "page"
        id: Mapped[int] = mapped_column(primary_key=True)

        def __init__(self, id: int = 7) -> None:  # noqa: A002 - as the column
            super().__init__(id=id)

    book, page = Book(id=1), Page()
    assert (type(book), book.id, type(page), page.id) == (Book, 1, Page, 7)
    with pytest.raises(TypeError, match="Book"):
        Book(pages=1)
    assert declarative_adapter._compiled.cache_info().misses <= before.misses + 2
