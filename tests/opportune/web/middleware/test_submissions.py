"""Double submission of forms."""

import asyncio
import math
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from httpx2 import ASGITransport, AsyncClient
from pydantic import BaseModel
from sqlalchemy import select, text, update
from sqlmodel import col

from opportune.accounts.models import Attempt
from opportune.accounts.submissions import DatabaseSubmissions
from opportune.config import Settings, installed_features
from opportune.db import DatabaseDependency, before_commit, utc_now
from opportune.feature import Feature
from opportune.testing.app import create_test_app
from opportune.web import Form, ImageUpload, cached, flash, is_htmx, let_repeat, read_form, templates
from tests.opportune.stored_rows import execute, read_all
from tests.opportune.waiting import wait_until

TOKEN = "a-token-of-22-letters-"
NOTE = {"form_token": TOKEN, "title": "Milk"}


class Note(BaseModel):
    title: str


class Photo(BaseModel):
    title: str
    photo: ImageUpload | None = None


router = APIRouter()
titles: list[str] = []
may_finish = asyncio.Event()


@router.get("/note")
async def show(request: Request) -> Response:
    fields = '{% from "macros/forms.html" import form_fields %}<form method="post">{{ form_fields(form) }}</form>'
    macro = templates.environment.from_string(fields)
    return HTMLResponse(macro.render(form=Form(Note), request=request))


@router.get("/cached-note")
@cached(60)
async def show_cached(request: Request) -> Response:
    return await show(request)


@router.post("/notes")
async def add(request: Request) -> Response:
    form = await read_form(request, Note)
    if form.data is None:
        return HTMLResponse("Please correct this.", form.status)
    titles.append(form.data.title)
    flash(request, f"“{form.data.title}” is saved.")
    return HTMLResponse("<li>Milk</li>") if is_htmx(request) else RedirectResponse(f"/notes/{len(titles)}", 303)


@router.post("/photos")
async def add_photo(request: Request) -> Response:
    form = await read_form(request, Photo)
    assert form.data
    titles.append(form.data.title)
    return RedirectResponse(f"/photos/{len(titles)}", 303)


@router.post("/slow")
async def add_slowly(request: Request) -> Response:
    titles.append("slow")
    await may_finish.wait()
    return RedirectResponse(f"/slow/{len(titles)}", 303)


@router.post("/commit")
async def commit(database: DatabaseDependency, is_change: bool) -> Response:
    async with database.writer(is_change=is_change) as session:
        await session.execute(select(1))
    titles.append("commit")
    await may_finish.wait()
    return RedirectResponse("/notes", 303)


@router.post("/crash-after-commit")
async def crash_after_commit(database: DatabaseDependency) -> None:
    async with database.writer() as session:
        await session.execute(select(1))
    raise RuntimeError


@router.post("/two-sessions")
async def open_two_sessions(database: DatabaseDependency) -> Response:
    async def open_another() -> None:
        async with database.writer() as other:
            await other.execute(select(1))

    async with database.writer() as session:
        await session.execute(select(1))
        before_commit(session, open_another)
    return RedirectResponse("/notes", 303)


@router.post("/crash")
async def crash() -> Response:
    titles.append("crash")
    raise RuntimeError


@router.post("/{result}-result")
async def other_results(request: Request, result: str) -> Response:
    titles.append(result)
    response: Response = RedirectResponse("/", 303)
    if result == "cookie":
        response.set_cookie("session", "secret")
    elif result == "page":
        response = HTMLResponse("Your codes: 1234")
    elif result == "created":
        page = f"<p data-created={len(titles)}>é".encode("latin-1")
        response = HTMLResponse(page, 201, {"content-type": "text/html; charset=latin-1"})
    elif result == "foreign":
        response = RedirectResponse("https://elsewhere.example/?code=secret", 303)
    elif result == "foreign-part":
        response = Response(headers={"HX-Redirect": "https://elsewhere.example/?code=secret"})
    elif result == "foreign-location":
        response = Response(headers={"HX-Location": '{"path": "https://elsewhere.example/?code=secret"}'})
    elif result == "danger":
        flash(request, "That failed.", "danger")
    elif result == "repeatable":
        let_repeat(request)
    return response


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    titles.clear()
    may_finish.clear()
    app = create_test_app(settings, [*installed_features(), Feature("notes", pages=router)])
    async with app.router.lifespan_context(app):
        yield app


async def stored_results(app: FastAPI) -> list[str | None]:
    return await read_all(app, select(col(Attempt.result)))


async def test_same_form_gets_first_result_but_others_are_processed(client: AsyncClient) -> None:
    first, second = [await client.post("/notes", data=NOTE) for _ in range(2)]
    assert [item.status_code for item in (first, second)] == [303, 303]
    assert first.headers["location"] == second.headers["location"] == "/notes/1"
    assert titles == ["Milk"]
    for title in ("Milk", "Bread"):
        await client.post("/notes", data=NOTE | {"title": title})
    assert titles == ["Milk", "Bread"]


async def test_cached_pages_have_no_token(client: AsyncClient) -> None:
    assert "form_token" not in (await client.get("/cached-note")).text


@pytest.mark.database("sqlite", "postgresql")
async def test_form_sent_to_two_workers_is_processed_once(app: FastAPI, client: AsyncClient) -> None:
    first = asyncio.create_task(client.post("/slow", data=NOTE))
    await wait_until(lambda: titles)
    other = create_test_app(app.state.settings, app.state.features)
    async with other.router.lifespan_context(other):
        transport = ASGITransport(other)
        async with AsyncClient(transport=transport, base_url=client.base_url, headers=client.headers) as worker:
            second = asyncio.create_task(worker.post("/slow", data=NOTE))
            assert not (await asyncio.wait([second], timeout=0.2))[0], "it waits for the first result"
            may_finish.set()
            responses = [await first, await second]
    assert [response.headers["location"] for response in responses] == ["/slow/1"] * 2
    assert titles == ["slow"]


async def test_slow_form_is_not_processed_twice(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opportune.web.middleware.submissions.WAIT_SECONDS", 0)
    first = asyncio.create_task(client.post("/slow", data=NOTE))
    await wait_until(lambda: titles)
    response = await client.post("/slow", data=NOTE, headers={"Accept": "text/html"})
    assert response.status_code == 409
    assert "still being processed" in response.text
    may_finish.set()
    assert (await first).status_code == 303


@pytest.mark.database("sqlite", "postgresql")
async def test_form_of_dead_worker_is_processed_again(app: FastAPI, client: AsyncClient) -> None:
    store = DatabaseSubmissions(app.state.database)
    assert await store.claim("key")
    assert not await store.claim("key")
    await execute(app, update(Attempt).values(ends_at=utc_now() - timedelta(seconds=1)))
    assert await store.find("key") is None
    assert await store.claim("key")


async def test_failed_check_is_logged_without_its_statement(
    app: FastAPI, client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await execute(app, text("DROP TABLE accounts_attempt"))
    assert (await client.post("/notes", data=NOTE)).status_code == 303
    assert ("no such table" in caplog.text, "INSERT" in caplog.text) == (True, False)


async def cancel(request: asyncio.Task[httpx2.Response]) -> None:
    request.cancel()
    await asyncio.wait([request])


@pytest.mark.database("sqlite", "postgresql")
@pytest.mark.parametrize(("is_change", "status", "count"), [(True, 409, 1), (False, 303, 2)], ids=["change", "count"])
async def test_form_is_not_saved_again_after_its_commit(
    client: AsyncClient, monkeypatch: pytest.MonkeyPatch, is_change: bool, status: int, count: int
) -> None:
    monkeypatch.setattr("opportune.web.middleware.submissions.WAIT_SECONDS", 0)
    first = asyncio.create_task(client.post("/commit", params={"is_change": is_change}, data=NOTE))
    await wait_until(lambda: titles)
    await cancel(first)
    may_finish.set()
    assert (await client.post("/commit", params={"is_change": is_change}, data=NOTE)).status_code == status
    assert len(titles) == count


@pytest.mark.parametrize(
    "result",
    [
        '{"messages": [[1, 2, 3, 4, 5]], "content": ""}',
        '{"status": 201, "headers": {}, "body": "\u20ac", "messages": []}',
    ],
    ids=["messages", "body"],
)
async def test_form_whose_result_is_unknown_is_refused(
    app: FastAPI, client: AsyncClient, monkeypatch: pytest.MonkeyPatch, result: str
) -> None:
    monkeypatch.setattr("opportune.web.middleware.submissions.POLL_SECONDS", math.inf)  # fails if it waits
    assert (await client.post("/crash-after-commit", data=NOTE)).status_code == 500
    for _ in range(2):
        async with asyncio.timeout(20):
            response = await client.post("/crash-after-commit", data=NOTE, headers={"Accept": "text/html"})
        assert (response.status_code, "was interrupted" in response.text) == (409, True)
        await execute(app, update(Attempt).values(result=result))  # the result of another version of the site


@pytest.mark.database("postgresql")  # SQLite has a single writer
async def test_form_may_open_a_session_before_its_commit(client: AsyncClient) -> None:
    async with asyncio.timeout(20):
        assert (await client.post("/two-sessions", data=NOTE)).status_code == 303


async def test_form_of_cancelled_request_can_be_sent(client: AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    claim, is_claimed = DatabaseSubmissions.claim, asyncio.Event()

    async def claim_slowly(store: DatabaseSubmissions, key: str) -> bool:
        is_first = await claim(store, key)
        is_claimed.set()
        await asyncio.sleep(0)
        return is_first

    monkeypatch.setattr(DatabaseSubmissions, "claim", claim_slowly)
    request = asyncio.create_task(client.post("/notes", data=NOTE))
    await is_claimed.wait()
    await cancel(request)
    assert (await client.post("/notes", data=NOTE)).status_code == 303
    assert titles == ["Milk"]


async def test_crashed_form_is_processed_again(app: FastAPI, client: AsyncClient) -> None:
    for _ in range(2):
        assert (await client.post("/crash", data=NOTE)).status_code == 500
    assert titles == ["crash"] * 2
    assert await stored_results(app) == []


@pytest.mark.parametrize(
    "result", ["cookie", "page", "foreign", "foreign-part", "foreign-location", "danger", "repeatable"]
)
async def test_unstorable_results_are_not_repeated(app: FastAPI, client: AsyncClient, result: str) -> None:
    for _ in range(2):
        await client.post(f"/{result}-result", data=NOTE)
        client.cookies.clear()
    assert titles == [result, result]
    assert await stored_results(app) == []


async def test_small_created_page_is_repeated(client: AsyncClient) -> None:
    responses = [await client.post("/created-result", data=NOTE) for _ in range(2)]
    assert [(response.status_code, response.text) for response in responses] == [(201, "<p data-created=1>é")] * 2
    assert titles == ["created"]


async def test_htmx_reloads_page_for_same_form(client: AsyncClient) -> None:
    htmx = {"HX-Request": "true", "HX-Request-Type": "partial"}
    first, second = [await client.post("/notes", data=NOTE, headers=htmx) for _ in range(2)]
    assert (first.text, first.headers.get("HX-Refresh")) == ("<li>Milk</li>", None)
    assert (second.text, second.headers["HX-Refresh"]) == ("", "true")
    assert titles == ["Milk"]


async def test_token_is_bound_to_visitor(client: AsyncClient) -> None:
    for visitor in ("one", "two"):
        client.cookies.set("session", visitor)
        await client.post("/notes", data=NOTE)
    assert titles == ["Milk", "Milk"]


async def test_large_files_arrive_whole(client: AsyncClient) -> None:
    sent = client.build_request("POST", "/photos", data=NOTE, files={"other": ("a.txt", b"x" * 1_000_000)})
    body = await sent.aread()

    async def parts(size: int) -> AsyncIterator[bytes]:
        for start in range(0, len(body), size):
            yield body[start : start + size]

    for size in (65_536, 50_000):  # the network decides
        response = await client.post("/photos", content=parts(size), headers=sent.headers)
        assert response.headers["location"] == "/photos/1"
    assert titles == ["Milk"]
