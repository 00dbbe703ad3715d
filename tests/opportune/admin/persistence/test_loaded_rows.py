"""Relationships are loaded for hooks, actions and pages."""

from collections.abc import AsyncIterator

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqladmin import action
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import Response

from opportune.admin.views import AdminView
from opportune.feature import Admin, Feature
from opportune.testing import make_user, sign_in
from tests.opportune.admin import bookshelf_feature as bookshelf
from tests.opportune.admin.bookshelf_feature import Author, Book, Country, Review, Tag
from tests.opportune.site_with import site_fixture
from tests.opportune.stored_rows import add_rows


class CriticAdmin(AdminView, model=Author):
    load = ("country",)
    columns = ("name", "country_id")


class ReviewAdmin(AdminView, model=Review):
    load = ("critic.country",)
    hook_calls: list[str]

    def record(self, event: str, review: Review) -> None:
        tags = ",".join(tag.name for tag in review.tags)
        assert review.critic
        assert review.critic.country
        type(self).hook_calls.append(f"{event} {review.critic.name} {review.critic.country.name} {tags}".strip())

    async def before_save(self, session: AsyncSession, row: Review, request: Request, *, is_created: bool) -> None:
        self.record("before save:", row)

    async def after_save(self, session: AsyncSession, row: Review, request: Request, *, is_created: bool) -> None:
        self.record("after save:", row)

    async def before_delete(self, session: AsyncSession, row: Review, request: Request) -> None:
        self.record("before delete:", row)

    @action("ring", "Ring")
    async def ring(self, request: Request) -> Response:
        async def ring(_session: AsyncSession, review: Review) -> None:
            self.record("ring:", review)

        return await self.apply_to_selected(request, "ring", ring, "rung")

    @action("thank", "Thank the author")
    async def thank(self, request: Request) -> Response:
        async def thank(_session: AsyncSession, review: Review) -> None:
            assert review.book.author

        return await self.apply_to_selected(request, "thank", thank, "thanked")


views = (bookshelf.CountryAdmin, CriticAdmin, ReviewAdmin)
reviews = Feature("reviews", models=bookshelf.bookshelf.models, admin=Admin(views))
app = site_fixture(reviews, environment="development")


@pytest.fixture
async def admin(app: FastAPI) -> AsyncIterator[AsyncClient]:
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://testserver") as client:
        await sign_in(client, app, await make_user(app.state.database, is_superuser=True))
        yield client


@pytest.fixture
async def hook_calls(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Add two critics of two countries, whose titles name these, and a review. Return the list that hooks append to."""
    monkeypatch.setattr(Author, "__str__", lambda author: f"{author.name} of {author.country.name}")
    await add_rows(app, Country(id=1, name="Italy"), Country(id=2, name="Norway"), Tag(id=1, name="new"))
    await add_rows(app, Author(id=1, name="Ann", country_id=1), Author(id=2, name="Bob", country_id=2))
    await add_rows(app, Book(id=1, title="Kristin", slug="k", isbn="1", author_id=2))
    async with app.state.database.writer() as session:
        session.add(Review(book_id=1, critic_id=1, tags=[await session.get(Tag, 1)]))
    ReviewAdmin.hook_calls = []
    return ReviewAdmin.hook_calls


@pytest.mark.parametrize(
    ("path", "data", "calls"),
    [
        ("action/ring", {"pks": "1", "confirmed": "yes"}, ["ring: Ann Italy new"]),
        ("create", {"book_id": "1", "critic_id": "2"}, ["before save: Bob Norway", "after save: Bob Norway"]),
        ("edit/1", {"critic_id": "2"}, ["before save: Bob Norway new", "after save: Bob Norway new"]),
        ("delete?pks=1", {"confirmed": "yes"}, ["before delete: Ann Italy new"]),
    ],
)
async def test_actions_and_hooks_read_relationships(
    admin: AsyncClient, hook_calls: list[str], path: str, data: dict[str, str], calls: list[str]
) -> None:
    form = {"book_id": "1", "stars": "5", "mood": "", **data}
    assert (await admin.post(f"/admin/review/{path}", data=form)).status_code == 303
    assert hook_calls == calls


@pytest.mark.usefixtures("hook_calls")
async def test_error_names_the_relationship_to_load(admin: AsyncClient) -> None:
    url, json = "/admin/review/action/thank?pks=1", {"Accept": "application/json"}
    response = await admin.post(url, data={"confirmed": "yes"}, headers=json)
    assert response.status_code == 500
    assert "class ReviewAdmin(AdminView, …):\n    load = ('critic.country', 'book.author')" in response.json()["detail"]
