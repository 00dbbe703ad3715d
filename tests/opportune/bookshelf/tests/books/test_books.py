import pytest
from httpx2 import AsyncClient

from app.books.models import Author, Book, Status, Tag
from opportune.accounts import User
from opportune.contrib.llm import FakeProvider
from opportune.db import Database
from opportune.testing import Make, RecordedJobs, add_permission

ISBN = "9780141439518"
NEW_BOOK = {"title": "Emma", "isbn": ISBN, "price": "9.90", "status": "published"}


@pytest.fixture
async def austen(make: Make) -> Author:
    return await make(Author, name="Jane Austen")


@pytest.fixture
async def emma(make: Make, austen: Author) -> Book:
    return await make(Book, title="Emma", author=austen, isbn=ISBN, price=9, status=Status.PUBLISHED)


@pytest.fixture
async def librarian(database: Database, staff: User, staff_client: AsyncClient) -> AsyncClient:
    await add_permission(database, staff, "book", "*")
    return staff_client


async def test_only_librarians_read_drafts(
    client: AsyncClient, user_client: AsyncClient, librarian: AsyncClient, make: Make, emma: Book
) -> None:
    draft = await make(Book, title="Sanditon", isbn="9780140431025", price=5, tags=[await make(Tag, name="unfinished")])
    for reader in (client, user_client):
        assert [book["slug"] for book in (await reader.get("/api/v1/books")).json()["items"]] == ["emma"]
        assert (await reader.get(f"/books/{draft.slug}")).status_code == 404
        assert (await reader.get("/api/v1/books", params={"tags": draft.tags[0].id})).json()["items"] == []
    assert (await librarian.get("/api/v1/books?tags=1&sort=-price")).json()["total"] == 1
    assert "Sanditon" in (await librarian.get("/books")).text


@pytest.mark.database("sqlite", "postgresql")
async def test_list_is_searched_filtered_and_sorted(client: AsyncClient, make: Make, emma: Book) -> None:
    await make(
        Book, title="Ulysses", isbn="9780141182803", price=20, status=Status.PUBLISHED, published_on="1922-02-02"
    )
    for query, slugs in {
        "q=austen": ["emma"],
        "price__gte=10": ["ulysses"],
        f"author={emma.author_id}": ["emma"],
        "year=1922": ["ulysses"],
        "sort=-price": ["ulysses", "emma"],
        "status__in=draft": [],
    }.items():
        response = await client.get(f"/api/v1/books?{query}")
        assert [book["slug"] for book in response.json()["items"]] == slugs, query
        assert (await client.get(f"/books?{query}")).status_code == 200
    assert (await client.get("/api/v1/books?isbn=1")).status_code == 422


async def test_only_librarians_write_books(
    client: AsyncClient, user_client: AsyncClient, librarian: AsyncClient, austen: Author
) -> None:
    book = {**NEW_BOOK, "author_id": austen.id}
    assert (await client.post("/api/v1/books", json=book)).status_code == 401
    assert (await user_client.post("/api/v1/books", json=book)).status_code == 403
    added = await librarian.post("/api/v1/books", json=book)
    assert (added.status_code, added.json()["slug"], added.json()["price"]) == (201, "emma", "9.90")
    duplicate = await librarian.post("/api/v1/books", json=book)
    assert (duplicate.status_code, "isbn" in duplicate.text) == (422, True)
    form = NEW_BOOK | {"isbn": "978", "author_id": austen.id}
    assert (await librarian.post("/books/new", data=form)).status_code == 422
    assert (await librarian.patch("/api/v1/books/emma", json={"summary": "Mine"})).status_code == 422


async def test_user_reviews_a_book_once(user_client: AsyncClient, emma: Book) -> None:
    htmx = {"HX-Request": "true", "HX-Request-Type": "partial"}
    page = await user_client.post("/books/emma/reviews", data={"stars": "4", "text": "*Good*"}, headers=htmx)
    assert (page.status_code, "4.0 of 5 stars by 1" in page.text, "<em>Good</em>" in page.text) == (200, True, True)
    assert (await user_client.post("/books/emma/reviews", data={"stars": "1"})).status_code == 422


async def test_new_book_is_summarized(
    superuser_client: AsyncClient, recorded_jobs: RecordedJobs, fake_llm: FakeProvider, austen: Author
) -> None:
    fake_llm.script = ["A matchmaker errs."]
    await superuser_client.post("/admin/book/create", data=NEW_BOOK | {"author_id": str(austen.id)})
    await recorded_jobs.work()
    (email,) = recorded_jobs.outbox
    assert (email.subject, "A matchmaker errs." in email.text) == ("A new book: Emma", True)
    assert "A matchmaker errs." in (await superuser_client.get("/books/emma")).text


async def test_import_finds_authors_and_tags(superuser_client: AsyncClient, recorded_jobs: RecordedJobs) -> None:
    text = "title,isbn,price,author,tags,status\nEmma,9780141439518,9.90,Jane Austen,novel|classic,published\n"
    files = {"file": ("books.csv", text.encode(), "text/csv")}
    preview = await superuser_client.post("/admin/book/import", files=files)
    for step in ("columns", "import"):
        await superuser_client.post(preview.headers["location"], data={"action": step})
    book = (await superuser_client.get("/api/v1/books/emma")).json()
    assert book["author"]["name"] == "Jane Austen"
    assert sorted(tag["name"] for tag in book["tags"]) == ["classic", "novel"]
    assert recorded_jobs.names == ["books.summarise"]


async def test_profile_has_the_new_field(user_client: AsyncClient) -> None:
    changed = await user_client.patch("/api/v1/users/me", json={"bio": "Reads novels."})
    assert (changed.status_code, changed.json()["bio"]) == (200, "Reads novels.")
    assert "Reads novels." in (await user_client.get("/accounts/profile")).text
    assert (await user_client.post("/accounts/profile", data={"bio": "Writes."})).status_code == 303
    assert (await user_client.get("/api/v1/users/me")).json()["bio"] == "Writes."
