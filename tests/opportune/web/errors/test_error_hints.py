"""Hints for common errors, in development only."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi import FastAPI, Request, UploadFile
from httpx2 import ASGITransport, AsyncClient
from jinja2 import TemplateError
from pydantic import BaseModel
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.orm import Session as SyncSession
from sqlalchemy.schema import ForeignKey
from sqlmodel import col

from opportune.accounts.models import User
from opportune.cli.development import site as development
from opportune.config.settings import Settings
from opportune.contrib.llm_local import local
from opportune.db import Database, ReadSession, WriteSession
from opportune.testing.app import create_test_app
from opportune.testing.factories import make_user
from opportune.testing.plugin import pytest_runtest_makereport
from opportune.web.errors import error_hints
from opportune.web.errors.error_hints import hint_for
from opportune.web.rendering.templates import templates


class Base(DeclarativeBase): ...


class Book(Base):
    __tablename__ = "hint_book"

    id: Mapped[int] = mapped_column(primary_key=True)
    author_id: Mapped[int] = mapped_column(ForeignKey("hint_author.id"))
    author: Mapped["Author"] = relationship()


class Author(Base):
    __tablename__ = "hint_author"

    id: Mapped[int] = mapped_column(primary_key=True)


class AuthorOut(BaseModel):
    id: int


def add_failing_routes(app: FastAPI) -> None:
    database = app.state.database

    @app.get("/relationship")
    async def touch_relationship() -> None:
        async with database.engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
        async with database.writer() as session:
            author = Author()
            session.add(author)
            await session.flush()
            session.add(Book(author_id=author.id))
        async with database.reader() as session:
            book = (await session.scalars(select(Book))).first()
            book.author  # noqa: B018 - reading it is the fault

    @app.get("/unwritten", response_model=AuthorOut)
    async def respond_with_new_row() -> object:
        return Author()

    @app.get("/expired")
    async def touch_expired() -> None:
        async with database.writer() as session:
            user = (await session.scalars(select(User))).first()
            session.expire(user)
            user.email  # noqa: B018 - reading it is the fault

    @app.get("/table")
    async def query_missing_table() -> None:
        async with database.reader() as session:
            await session.execute(text("SELECT id FROM accounts_gone"))

    @app.get("/column")
    async def query_missing_column() -> None:
        async with database.reader() as session:
            await session.execute(text("SELECT accounts_user.gone FROM accounts_user"))

    @app.get("/results", response_model=None)
    async def respond_with_results() -> dict[str, object]:
        async with database.reader() as session:
            rows = await session.execute(select(col(User.email), col(User.is_staff)))
            mappings = (await session.execute(select(col(User.email)))).mappings()
            return {"rows": rows, "emails": await session.scalars(select(col(User.email))), "mappings": mappings}

    @app.get("/template")
    async def show_missing_template(request: Request) -> object:
        return templates.render(request, "accounts/logins.html")


def add_writing_readers(app: FastAPI) -> None:
    @app.post("/deleted")
    async def delete_in_reader(session: ReadSession) -> None:
        await session.execute(text("DELETE FROM accounts_user"))

    @app.post("/unset")
    async def add_without_email(session: WriteSession) -> None:
        await session.execute(insert(User).values(hashed_password="none"))

    @app.post("/huge")
    async def add_huge_number(session: WriteSession) -> None:
        await session.execute(insert(User).values(id=2**70, email="a@example.com", hashed_password="none"))


@pytest.fixture
def environment() -> str:
    return "development"


@pytest.fixture
async def faulty(settings: Settings, environment: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AsyncClient]:
    monkeypatch.setattr(local, "find_weights", lambda: None)  # a process with a model
    app = create_test_app(settings.model_copy(update={"environment": environment, "jobs": "off"}))
    add_failing_routes(app)
    add_writing_readers(app)
    async with app.router.lifespan_context(app):
        await make_user(app.state.database, is_superuser=True)
        async with AsyncClient(transport=ASGITransport(app), base_url="http://127.0.0.1") as client:
            yield client


EXPECTED_HINTS = {
    "/relationship": ("Book.author is a relationship", "select(Book).options(load(Book.author))"),
    "/unwritten": ("The row has no id yet", "await session.flush()"),
    "/expired": ("User.email was not loaded or has expired", "await session.refresh(row, [&#34;email&#34;])"),
    "/table": (
        "It has no table accounts_gone.",
        "python3 oppman.py makemigrations accounts\npython3 oppman.py migrate",
    ),
    "/column": ("It has no column gone.", "python3 oppman.py migrate"),
}


@pytest.mark.database("sqlite", "postgresql")
async def test_page_shows_cause_line_and_fix(faulty: AsyncClient) -> None:
    for path, expected in EXPECTED_HINTS.items():
        page = await faulty.get(path, headers={"Accept": "text/html"})
        assert page.status_code in (500, 503), path
        for line in (*expected, "tests/opportune/web/errors/test_error_hints.py:"):
            assert line in page.text, path


async def test_rows_of_queries_are_objects(faulty: AsyncClient) -> None:
    data = (await faulty.get("/results")).json()
    assert data["rows"] == [{"email": email, "is_staff": False} for email in data["emails"]] != []
    assert data["mappings"] == [{"email": email} for email in data["emails"]]


async def test_form_from_other_origin_is_explained(faulty: AsyncClient) -> None:
    page = await faulty.post("/accounts/login", headers={"Origin": "http://localhost:8000", "Accept": "text/html"})
    assert page.status_code == 403
    assert "sent it from http://localhost:8000 to http://127.0.0.1." in page.text
    assert "BASE_URL=http://localhost:8000" in page.text


@pytest.mark.parametrize("environment", ["production"])
async def test_production_shows_no_hints(faulty: AsyncClient) -> None:
    for path in (*EXPECTED_HINTS, "/template"):
        for media_type in ("text/html", "application/json"):
            response = await faulty.get(path, headers={"Accept": media_type})
            assert response.status_code in (500, 503), path
            for secret in ("test_error_hints", "accounts_gone", "logins.html", "load(Book", "oppman"):
                assert secret not in response.text, path


async def test_startup_error_is_shown_in_browser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.main", None)
    monkeypatch.setattr(development, "get_settings", lambda: Settings(_env_file=None, environment="development"))
    site = development.create_app()
    async with AsyncClient(transport=ASGITransport(site), base_url="http://127.0.0.1") as client:
        page = await client.get("/books")
        assert page.status_code == 500
        assert "app.main" in page.text
        assert "script-src &#39;self&#39;" not in page.text
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert (await client.get("/static/theme.js")).status_code == 200


def test_startup_error_in_production_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "app.main", None)
    monkeypatch.setattr(development, "get_settings", lambda: Settings(_env_file=None, environment="test"))
    with pytest.raises(ImportError):
        development.create_app()


@pytest.mark.database("sqlite", "postgresql")
async def test_statement_of_a_reader_is_explained(faulty: AsyncClient) -> None:
    problem = (await faulty.post("/deleted", headers={"Accept": "application/json"})).json()
    assert problem["detail"].startswith("This session cannot write.")


MISTAKES: dict[str, Callable[[AsyncSession], object]] = {
    "The session has no such method": lambda session: getattr(session, "exec")(select(User)),  # noqa: B009
    "Templates of the site": lambda _session: getattr(templates, "TemplateResponse"),  # noqa: B009
    "Templates are those of Jinja": lambda _session: templates.environment.from_string("{% load static %}"),
    "The environment has no NAME": lambda _session: os.environ["NAME_OF_NOTHING"],
    "An await is missing": lambda session: _close_after(session.get(User, 1), lambda user: user.email),
    "Models have no manager": lambda _session: getattr(User, "objects"),  # noqa: B009
}


def _close_after(coroutine: Any, read: Callable[[Any], object]) -> object:
    try:
        return read(coroutine)
    finally:
        coroutine.close()


@pytest.mark.parametrize("title", MISTAKES)
async def test_habit_has_hint(title: str, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("NAME_OF_NOTHING=1\n")
    monkeypatch.setattr(error_hints, "PROJECT", tmp_path)
    async with database.reader() as session:
        with pytest.raises((AttributeError, KeyError, TemplateError)) as caught:
            MISTAKES[title](session)
    hint = hint_for(caught.value)
    assert hint
    assert title in hint.title


@pytest.mark.database("sqlite", "postgresql")
async def test_row_without_a_value_is_explained(faulty: AsyncClient) -> None:
    problem = (await faulty.post("/unset", headers={"Accept": "application/json"})).json()
    assert problem["status"] == 409
    assert problem["detail"].startswith("A column has no value.")
    assert "email: … | None = None" in problem["detail"]


@pytest.mark.database("sqlite", "postgresql")
async def test_too_large_number_is_explained(faulty: AsyncClient) -> None:
    page = await faulty.post("/huge", headers={"Accept": "text/html"})
    assert "A number is too large for its column" in page.text


@pytest.mark.parametrize(("owner", "name"), [(UploadFile(BytesIO()), "save"), (SyncSession(), "exec")])
def test_attribute_of_another_object_has_no_hint(owner: object, name: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(owner, name)
    assert hint_for(caught.value) is None


@pytest.mark.parametrize(
    ("message", "title"),
    [
        ("'Session' object does not support the context manager protocol", "An async is missing"),
        ("Object '<Book at 0x7f>' is already attached to session '5' (this is '4')", "The row belongs to another"),
        ("SessionMiddleware must be installed to access request.session", "The site keeps no values of visitors"),
        ("Select.filter() got an unexpected keyword argument 'title__icontains'", "Queries are those of SQLAlchemy"),
        ("Templates.render() got an unexpected keyword argument 'books'", "Templates of the site need their own"),
        ('"books" cannot depend on dependencies with scope "function".', "The session ends before this dependency"),
    ],
)
def test_failed_test_shows_the_hint_for_a_message(message: str, title: str) -> None:
    call = pytest.CallInfo.from_call(Mock(side_effect=TypeError(message)), "call")
    pytest_runtest_makereport(call)
    assert call.excinfo
    assert call.excinfo.value.__notes__[0].startswith(title)


def test_causes_in_a_circle_have_no_hint() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert hint_for(first) is None
