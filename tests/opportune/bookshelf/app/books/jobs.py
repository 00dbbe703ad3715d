from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.books.models import Book
from opportune.accounts import User
from opportune.config import Settings
from opportune.jobs import JobContext, job
from opportune.mail import enqueue_email, render_email


@job("books.summarise")
async def summarise(context: JobContext, book_id: int) -> None:
    async with context.database.reader() as session:
        book = await session.get(Book, book_id)
    if book:
        summary = await context.llm.complete(
            f"{book.title}: {book.description}", system="Sum up this book in a sentence."
        )
        await context.write(store_summary, context.settings, book_id, summary)


async def store_summary(session: AsyncSession, settings: Settings, book_id: int, summary: str) -> None:
    if book := await session.get(Book, book_id):
        book.summary = summary
        for address in await session.scalars(select(col(User.email)).where(col(User.is_superuser))):
            enqueue_email(session, render_email(settings, address, "books/mail/summary", {"book": book}))
