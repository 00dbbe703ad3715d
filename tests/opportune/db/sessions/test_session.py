from typing import Annotated, Any, Self

import pytest
from fastapi import Depends, FastAPI, Header, Query
from httpx import ASGITransport, AsyncClient
from sqlalchemy import event, func, select
from sqlalchemy.orm import Session as SyncSession

from opportune.accounts.models import User
from opportune.application import create_app
from opportune.config.project import PROJECT
from opportune.db.sessions.context import Context
from opportune.db.sessions.dependencies import ReadonlyCtx, ReadSession, RWCtx, WriteSession, context_dependency
from opportune.testing.plugin import settings_for

COUNT = select(func.count()).select_from(User)


async def get_agent(user_agent: Annotated[str, Header()] = "") -> str:
    return user_agent


class Registration(Context):
    """A context with what a route's parameters say."""

    email: str
    agent: str

    def __call__(
        self, email: Annotated[str, Query(max_length=30)], agent: Annotated[str, Depends(get_agent)] = ""
    ) -> Self:
        self.email, self.agent = email, agent
        return self


@pytest.fixture
async def visitors(app: FastAPI, client: AsyncClient) -> AsyncClient:
    """A site with three routes more."""

    @app.post("/api/write")
    async def write(session: WriteSession) -> dict[str, bool]:
        session.add(User(email="a@example.com", hashed_password="none"))
        return {"written": True}

    @app.post("/api/fail")
    async def fail(session: WriteSession) -> None:
        session.add(User(email="a@example.com", hashed_password="none"))
        await session.flush()
        raise RuntimeError("after the write")

    @app.get("/api/count")
    async def count(session: ReadSession) -> int:
        return await session.scalar(select(func.count()).select_from(User)) or 0

    return client


async def test_what_a_request_writes_is_there_when_it_is_answered(visitors: AsyncClient) -> None:
    assert (await visitors.post("/api/write")).status_code == 200
    assert (await visitors.get("/api/count")).json() == 1


@pytest.mark.database("sqlite")
async def test_a_request_that_fails_leaves_nothing(visitors: AsyncClient) -> None:
    assert (await visitors.post("/api/fail")).status_code == 500
    assert (await visitors.get("/api/count")).json() == 0


@pytest.mark.database("sqlite")
async def test_a_commit_that_fails_is_an_error_and_not_a_success(visitors: AsyncClient) -> None:
    def refuse(_: SyncSession) -> None:
        raise RuntimeError("the disk went away")

    event.listen(SyncSession, "before_commit", refuse)
    try:
        response = await visitors.post("/api/write")
    finally:
        event.remove(SyncSession, "before_commit", refuse)
    assert response.status_code == 500
    assert "disk" not in response.text
    assert (await visitors.get("/api/count")).json() == 0


async def test_a_row_that_is_there_already_is_a_conflict(visitors: AsyncClient) -> None:
    await visitors.post("/api/write")
    response = await visitors.post("/api/write")
    assert response.status_code == 409
    assert "accounts_user" not in response.text


@pytest.mark.database("sqlite")
async def test_one_request_gets_one_session(app: FastAPI, client: AsyncClient) -> None:
    @app.post("/api/same")
    async def same(first: WriteSession, second: WriteSession) -> bool:
        return first is second

    assert (await client.post("/api/same")).json() is True


@pytest.fixture
async def contexts(app: FastAPI, visitors: AsyncClient) -> AsyncClient:
    """Routes more, that take contexts."""

    @app.post("/api/before-and-after")
    async def both(context: RWCtx) -> list[int | None]:
        context.writer.add(User(email="a@example.com", hashed_password="none"))
        await context.writer.flush()
        return [await session.scalar(COUNT) for session in (context.reader, context.writer)]

    @app.get("/api/count-readonly")
    async def count(context: ReadonlyCtx) -> int:
        return await context.reader.scalar(COUNT) or 0

    @app.post("/api/broken")
    async def broken(context: RWCtx) -> None:
        context.writer.add(User(email="a@example.com", hashed_password="none"))
        await context.writer.flush()
        raise RuntimeError("after the write")

    @app.post("/api/registration")
    async def register(registration: Annotated[Registration, context_dependency(Registration)]) -> str:
        registration.writer.add(User(email=registration.email, hashed_password="none"))
        return registration.agent

    return visitors


async def test_a_context_reads_what_was_there_and_commits_before_the_answer(contexts: AsyncClient) -> None:
    assert (await contexts.post("/api/before-and-after")).json() == [0, 1]
    assert (await contexts.get("/api/count-readonly")).json() == 1


@pytest.mark.database("sqlite")
async def test_a_context_of_a_request_that_fails_leaves_nothing(contexts: AsyncClient) -> None:
    assert (await contexts.post("/api/broken")).status_code == 500
    assert (await contexts.get("/api/count-readonly")).json() == 0


@pytest.mark.database("sqlite")
async def test_a_commit_of_a_context_that_fails_is_a_conflict(contexts: AsyncClient) -> None:
    await contexts.post("/api/before-and-after")
    assert (await contexts.post("/api/registration?email=a@example.com")).status_code == 409


@pytest.mark.database("sqlite")
async def test_the_extras_of_a_context_are_parameters_of_the_route(contexts: AsyncClient) -> None:
    answer = await contexts.post("/api/registration?email=b@example.com", headers={"user-agent": "a browser"})
    assert (answer.status_code, answer.json()) == (200, "a browser")
    assert (await contexts.get("/api/count-readonly")).json() == 1


@pytest.mark.database("sqlite")
@pytest.mark.parametrize("query", ["", "?email=a-much-too-long-address@example.com"])
async def test_extras_that_are_not_valid_open_nothing(contexts: AsyncClient, query: str) -> None:
    assert (await contexts.post(f"/api/registration{query}")).status_code == 422
    assert (await contexts.get("/api/count-readonly")).json() == 0


def test_the_openapi_document_shows_extras_and_no_database() -> None:
    app = FastAPI()

    @app.post("/")
    async def register(registration: Annotated[Registration, context_dependency(Registration)]) -> None: ...

    assert [parameter["name"] for parameter in app.openapi()["paths"]["/"]["post"]["parameters"]] == [
        "email",
        "user-agent",
    ]


async def test_a_database_without_tables_is_unavailable_and_the_log_says_what_to_do(
    empty_database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings_for(empty_database_url))
    async with (
        app.router.lifespan_context(app),
        AsyncClient(transport=ASGITransport(app), base_url="http://testserver") as client,
    ):
        form = {"email": "a@example.com", "password": "a long password"}
        assert (await client.post("/accounts/login", data=form)).status_code == 503
    assert "python3 oppman.py migrate" in caplog.text


@pytest.mark.database("sqlite")
async def test_the_guides_example_of_a_context_works(app: FastAPI, client: AsyncClient) -> None:
    guide = (PROJECT / "docs" / "databases.md").read_text(encoding="utf-8")
    section = guide.partition("\n## Readers and writers\n")[2]
    names: dict[str, Any] = {}
    exec(section.partition("```python\n")[2].partition("```")[0], names)  # noqa: S102 - code of ours
    app.include_router(names["router"])

    assert (await client.post("/api/invite?email=a@example.com")).json() == 0
    await names["invite_elsewhere"](app.state.database, "b@example.com")
    assert (await client.post("/api/invite?email=c@example.com")).json() == 2
