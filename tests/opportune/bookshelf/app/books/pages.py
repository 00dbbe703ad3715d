from typing import Annotated, Any

from fastapi import Depends, Request, Response
from fastapi import Form as FormField
from pydantic import BaseModel, Field

from app.books.models import Book, Review
from app.books.service import Authors, Books, Reviews, Tags
from opportune.contrib.llm import Llm
from opportune.crud import CrudPages, reading, writing
from opportune.fields import Line, Text
from opportune.web import Form, RateLimit, is_htmx, read_form, redirect, stream_markdown


class ReviewForm(BaseModel):
    stars: int = Field(5, ge=1, le=5)
    text: Text = Field("", max_length=2000)


class BookPages(CrudPages[Book]):
    columns = ("cover", "title", "author", "tags", "price", "published_on", "rating")

    async def get_context(self, request: Request, crud: Books, row: Book) -> dict[str, Any]:
        reviews = Reviews(crud.session, crud.user, crud.permissions)
        page = await reviews.list(Reviews.Filter.model_validate({"book_id": row.id, "size": 100}))
        return {"reviews": page, "user": crud.user, "form": Form(ReviewForm)}


class ReviewPages(CrudPages[Review]):
    without = ("list", "get", "create")

    def after_save_url(self, request: Request, row: Review) -> str:
        return f"/books/{row.book.slug}"


books_pages, reviews_pages = BookPages(Books, "/books"), ReviewPages(Reviews, "/reviews")
router = books_pages.router
routers = [router, reviews_pages.router, CrudPages(Authors, "/authors").router, CrudPages(Tags, "/tags").router]


@router.post("/{slug}/reviews")
async def review(
    request: Request,
    slug: str,
    books: Annotated[Books, writing(Books, "get")],
    reviews: Annotated[Reviews, writing(Reviews, "create")],
) -> Response:
    book, form = await books.get(slug), await read_form(request, ReviewForm)
    if await form.save(lambda sent: reviews.create({**sent.model_dump(), "book_id": book.id})) and not is_htmx(request):
        return redirect(request, f"/books/{slug}")
    return await books_pages.get(request, books, slug, form if form.errors else None)


@router.post("/{slug}/ask", dependencies=[Depends(RateLimit("books.ask", 20))])
async def ask(
    request: Request,
    slug: str,
    books: Annotated[Books, reading(Books, "get")],
    llm: Llm,
    question: Annotated[Line, FormField(max_length=500)],
) -> Response:
    book = await books.get(slug)
    instructions = f"Answer questions about “{book.title}” by {book.author}. It is about: {book.description}"
    return stream_markdown(request, llm.stream(question, system=instructions))
