from sqlalchemy.ext.asyncio import AsyncSession

from app.books.jobs import summarise
from app.books.models import Book
from opportune.db import after_create
from opportune.jobs import defer


@after_create(Book)
async def queue_summary(session: AsyncSession, book: Book) -> None:
    defer(session, summarise(book.id))
