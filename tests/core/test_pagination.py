from sqlalchemy import select
from sqlmodel import col

from app.accounts.models import User
from app.core.db.database import Database
from app.core.pagination import Page, Paging, paginate
from tests.factories import make_user

EMAILS = [f"{letter}@example.com" for letter in "abcde"]


async def page_of(database: Database, number: int) -> Page[User]:
    query = select(User).where(col(User.email) != "a@example.com").order_by(col(User.email))
    async with database.reader() as session:
        return await paginate(session, query, Paging(page=number, size=3))


async def test_pages_share_the_rows_in_their_order(database: Database) -> None:
    for email in reversed(EMAILS):
        await make_user(database, email)

    first, second, third = [await page_of(database, number) for number in (1, 2, 3)]

    assert [[user.email for user in page.items] for page in (first, second, third)] == [EMAILS[1:4], EMAILS[4:], []]
    assert {(page.total, page.pages) for page in (first, second, third)} == {(4, 2)}


async def test_nothing_fills_one_empty_page(database: Database) -> None:
    page = await page_of(database, 1)

    assert (list(page.items), page.total, page.page, page.pages) == ([], 0, 1, 1)
