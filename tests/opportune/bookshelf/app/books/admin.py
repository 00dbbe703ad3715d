from sqladmin import action
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from app.books.models import Author, Book, Review, Status, Tag
from opportune.admin import AdminView, Inline


class AuthorAdmin(AdminView, model=Author):
    icon, category = "ti ti-user", "Books"


class TagAdmin(AdminView, model=Tag):
    icon, category = "ti ti-tag", "Books"


class ReviewAdmin(AdminView, model=Review):
    icon, category = "ti ti-star", "Books"


class BookAdmin(AdminView, model=Book):
    columns = ("cover", "title", "author", "tags", "status", "price")
    filters = ("status", "author", "tags", "published_on")
    inlines = (Inline(Review, "book_id", ("user_id", "stars", "text")),)
    can_import = True
    icon, category = "ti ti-book", "Books"

    def site_url(self, row: Book) -> str:
        return f"/books/{row.slug}"

    @action("publish", "Publish")
    async def publish(self, request: Request) -> Response:
        async def publish(_session: AsyncSession, book: Book) -> None:
            book.status = Status.PUBLISHED

        return await self.apply_to_selected(request, "publish", publish, "published")
